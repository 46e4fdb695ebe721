"""Solutions that the base knows: the golden set's, for tasks of the built-in suite."""

from __future__ import annotations

from functools import cache

from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.golden import Golden, golden_solutions
from tritonrl_core.tasks.prompts import completion_text
from tritonrl_core.types import Candidate, Task


def known_solution(task: Task) -> Candidate | None:
    """The golden solution of a built-in task, as a completion; None for any other task."""
    golden = _by_id().get(task.id) if task.origin.startswith("builtin") else None
    return None if golden is None else parse_completion(completion_text(golden.plan, golden.code))


@cache
def _by_id() -> dict[str, Golden]:
    return {golden.task_id: golden for golden in golden_solutions()}
