"""The plugins of a preset at work: which are on, in which order, who answers, and whom to blame.

`discovery` looks at what is installed and loads one plugin; `assembly` starts those of a preset and settles owners;
`hooks` asks them, `guard` stands around every implementation, `lock` says what a run was made with; `session` is what
the other rooms talk to.
"""

from __future__ import annotations

from tritonrl_core.session.session import Session, explain, generate_tasks, tasks_by_level

__all__ = ["Session", "explain", "generate_tasks", "tasks_by_level"]
