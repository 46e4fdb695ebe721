"""Solutions that plugins know for their own tasks, judged before they are used: training data for a cold start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tritonrl_core.preset import Preset
from tritonrl_core.session import Session
from tritonrl_core.types import Candidate, Score, Status, Task
from tritonrl_core.verifier import Verifier


@dataclass(frozen=True)
class Judged:
    """`kept` passed; `refused` did not, with their scores; for the tasks in `unsolved` nobody knows a solution."""

    kept: list[tuple[Task, Candidate]] = field(default_factory=list)
    refused: list[tuple[Task, Score]] = field(default_factory=list)
    unsolved: list[Task] = field(default_factory=list)


def judge_of(preset: Preset) -> Preset:
    """The preset under which solutions are judged: its own settings, with every declared size, dtype, distribution and
    layout tried."""
    return preset.with_plugins(multi_input={"dtypes": True})


def judged_solutions(
    tasks: Sequence[Task], session: Session, judge: Preset, on_done: Callable[[Score], None] | None = None
) -> Judged:
    """The solutions that the session's plugins know for `tasks`, as far as they pass under the preset `judge`.

    `on_done` is told each score as it is known. Raises what `Verifier` raises at construction.
    """
    known = [(task, session.known_solution(task)) for task in tasks]
    found = Judged(unsolved=[task for task, solution in known if solution is None])
    solved = [(task, solution) for task, solution in known if solution is not None]
    with Verifier(judge) as verifier:
        scores = verifier.verify_batch(solved, on_score=(lambda index, score: on_done(score)) if on_done else None)
    for (task, solution), score in zip(solved, scores, strict=True):
        if score.verdict.status is Status.PASSED:
            found.kept.append((task, solution))
        else:
            found.refused.append((task, score))
    return found
