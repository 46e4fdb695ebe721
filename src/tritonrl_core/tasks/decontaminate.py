"""Keep the test out of training: drop tasks that compute the same as a task of a suite that is tested on.

Same means the same canonical graph (`graph.graph_key`): up to names, shapes and constants.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tritonrl_core.errors import TaskError
from tritonrl_core.syntax import parse
from tritonrl_core.tasks.memo import Memo, kept
from tritonrl_core.types import Task, content_key

log = logging.getLogger(__name__)

@dataclass(frozen=True)
class Decontaminated:
    """`kept` tasks in their order, and each dropped one with the id of the tested task that it equals."""

    kept: list[Task]
    dropped: list[tuple[Task, str]]

    @property
    def summary(self) -> str:
        """One sentence for the run's first lines."""
        total = len(self.kept) + len(self.dropped)
        return f"{len(self.dropped)} of {total} training tasks left out: they compute what a tested task does"


def decontaminate(tasks: Sequence[Task], tested: Sequence[Task], memo: Memo | None = None) -> Decontaminated:
    """Split `tasks` into those that may be trained on and those that compute the same as one of `tested`."""
    memo = memo or default_memo()
    held = {computation_key(task, memo): task.id for task in reversed(tested)}
    fine, dropped = [], []
    for task in tasks:
        twin = held.get(computation_key(task, memo)) if held else None
        if twin is None:
            fine.append(task)
        else:
            dropped.append((task, twin))
    return Decontaminated(fine, dropped)


def default_memo() -> Memo:
    """Where graph keys are kept between runs."""
    return kept("graphs")


def computation_key(task: Task, memo: Memo) -> str:
    """The key of the task's graph; of its text, without layout and comments, where it cannot be traced."""
    return str(memo.recall(task.key, lambda: _find_out(task)))


def _find_out(task: Task) -> str:
    from tritonrl_core.tasks.graph import graph_key

    try:
        return graph_key(task)
    except TaskError as error:
        log.info("%s is compared by its text: %s", task.id, error.message)
        return content_key("text", ast.dump(parse(task.source)))
