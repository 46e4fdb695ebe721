"""Stored candidates judged again: what today's verifier says of a run's verdicts.

Finds the tasks again and compares; generates nothing and changes nothing in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tritonrl_core.evaluate.evaluation import last_scores, read_question
from tritonrl_core.evaluate.sampling import Scorer
from tritonrl_core.preset import Preset
from tritonrl_core.runs import EVAL_FILE, read_scores
from tritonrl_core.tasks.suites import named_tasks
from tritonrl_core.types import Score, Status, Task


class TaskSource(Protocol):
    """What is needed of a session."""

    def generate_tasks(self, split: str = "train", seed: int | None = None) -> list[Task]: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One candidate that is judged differently today, and how."""

    then: Score
    now: Score
    what: str


@dataclass(frozen=True, slots=True)
class Reverified:
    """`judged` different candidates were judged again. `gone` counts those whose task is not here today as it was,
    by task id. `infra` could not be judged today.
    """

    judged: int
    differences: Sequence[Difference]
    gone: Mapping[str, int]
    infra: int


def run_tasks(root: Path, preset: Preset, session: TaskSource) -> dict[str, Task]:
    """The tasks that a run was made of, by content key: of its training, or of the suite of an evaluation."""
    if (root / EVAL_FILE).is_file():
        tasks = named_tasks(read_question(root).suite, preset.train.model, preset.tasks.size)
    else:
        tasks = session.generate_tasks("train")
    return {task.key: task for task in tasks}


def not_here(name: str, tasks: Mapping[str, Task]) -> str:
    """Why a task by whose name candidates were judged is not among `tasks`."""
    if any(task.id == name for task in tasks.values()):
        return "today's task of that name is another one (its reference, what it declares or its family differ)"
    return "there is no task of that name today"


def run_scores(root: Path) -> list[Score]:
    """The scores of a run or an evaluation, in the order they came."""
    return last_scores(root) if (root / EVAL_FILE).is_file() else list(read_scores(root))


def different_candidates(scores: Iterable[Score]) -> list[Score]:
    """One score for each different code of a task, the last one; INFRA is no verdict and is left out."""
    found = {
        (score.task_key, score.candidate.key): score
        for score in scores
        if score.verdict.status is not Status.INFRA
    }
    return list(found.values())


def reverify(
    scores: Sequence[Score],
    tasks: Mapping[str, Task],
    scorer: Scorer,
    on_score: Callable[[Score], None] | None = None,
) -> Reverified:
    """Judge these candidates again and compare. `on_score` is told each new verdict."""
    here = [score for score in scores if score.task_key in tasks]
    gone: dict[str, int] = {}
    for score in scores:
        if score.task_key not in tasks:
            gone[score.task_id] = gone.get(score.task_id, 0) + 1

    def tell(index: int, score: Score) -> None:
        if on_score is not None:
            on_score(score)

    again = scorer.verify_batch([(tasks[score.task_key], score.candidate) for score in here], on_score=tell)
    pairs = list(zip(here, again, strict=True))
    found = [Difference(then, now, what) for then, now in pairs if (what := difference(then, now))]
    infra = sum(now.verdict.status is Status.INFRA for now in again)
    return Reverified(len(again), found, gone, infra)


def difference(then: Score, now: Score) -> str:
    """What differs between two judgements of one candidate, "" where nothing does; INFRA says nothing about it."""
    if now.verdict.status is Status.INFRA:
        return ""
    if then.verdict.status is not now.verdict.status:
        return f"{then.verdict.status.value} → {now.verdict.status.value}"
    old, new = then.timing, now.timing
    measured = old is not None and new is not None and not old.estimated and not new.estimated
    if measured and old and new and (old.speedup_high < new.speedup_low or new.speedup_high < old.speedup_low):
        return f"{old.speedup:.2f}× → {new.speedup:.2f}×"
    return ""
