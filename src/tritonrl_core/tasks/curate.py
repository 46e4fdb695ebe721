"""From the tasks that were collected to those that are used: unfit ones and tested ones are left out, and it is said.

What ships with the project (the built-in suite, a bundled model's own) was examined when it was released, and its
author says what is held out: only suites that the user names are kept out of it. All else is examined when it is first
seen. A user's files may equal nothing that is held out either; what plugins generate, nothing that is evaluated on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from tritonrl_core.models import bundled_suites
from tritonrl_core.tasks.room import Room
from tritonrl_core.tasks.suites import BUILTIN
from tritonrl_core.types import Task


@dataclass(frozen=True)
class Curated:
    """`kept` tasks in their order; `unfit` ones with the reason; `tested` ones with the id of the tested task that each
    computes the same as."""

    kept: list[Task]
    unfit: list[tuple[Task, str]] = field(default_factory=list)
    tested: list[tuple[Task, str]] = field(default_factory=list)

    @property
    def summary(self) -> list[str]:
        """What was left out, a sentence each, for a run's first lines; [] where nothing was."""
        total = len(self.kept) + len(self.unfit) + len(self.tested)
        said = []
        if self.tested:
            said.append(f"{len(self.tested)} of {total} tasks left out: they compute what a tested task does")
        if self.unfit:
            task, reason = self.unfit[0]
            more = f" ({task.id}: {reason}; `tritonrl tasks check` shows the rest)" if len(self.unfit) > 1 else ""
            one = more or f" ({task.id}: {reason})"
            said.append(f"{len(self.unfit)} of {total} tasks left out: not fit to judge with{one}")
        return said


def curate(tasks: Sequence[Task], split: str, room: Room, generated: Collection[str] = ()) -> Curated:
    """Leave out what is unfit and, where the split is `train`, what is tested on.

    `generated` are the origins of tasks that plugins made.
    """
    found, shipped = Curated([]), (BUILTIN, *bundled_suites())
    for task in tasks:
        ours = task.origin.partition(":")[0] in shipped
        known = room.named if ours else room.tested if task.origin in generated else room.kept_out
        twin = known(task) if split == "train" else ""
        reason = "" if twin or ours else room.unfit(task)
        if twin:
            found.tested.append((task, twin))
        elif reason:
            found.unfit.append((task, reason))
        else:
            found.kept.append(task)
    return found
