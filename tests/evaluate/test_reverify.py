"""Judging again: what differs is listed, what cannot be judged is counted, and nothing else is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tritonrl_core.evaluate.reverify import difference, different_candidates, reverify
from tritonrl_core.types import Candidate, Score, Status, Task


class Strict:
    """Judges everything as it is told."""

    def __init__(self, answers: Sequence[Score]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Task, Candidate]] = []

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        self.asked += jobs
        for index, answer in enumerate(self.answers):
            if on_score is not None:
                on_score(index, answer)
        return self.answers


def test_what_is_judged_otherwise_is_listed(kit: Any) -> None:
    tasks = {name: Task(name, 1, name) for name in ("a", "b")}
    then = [kit.score(task="a"), kit.score(Status.WRONG, task="b"), kit.score(task="gone")]
    scorer = Strict([kit.score(Status.CHEATED, task="a"), kit.score(Status.WRONG, task="b")])
    told: list[Score] = []
    found = reverify(then, tasks, scorer, told.append)
    assert [task.id for task, _ in scorer.asked] == ["a", "b"]
    assert (found.judged, found.infra, found.gone) == (2, 0, {"gone": 1})
    assert [(item.then.task_id, item.what) for item in found.differences] == [("a", "PASSED → CHEATED")]
    assert len(told) == 2


def test_our_own_fault_is_no_difference(kit: Any) -> None:
    then = kit.score(task="a")
    found = reverify([then], {"a": Task("a", 1, "a")}, Strict([kit.score(Status.INFRA, task="a")]))
    assert (found.infra, found.differences) == (1, [])


@pytest.mark.parametrize(
    ("now", "clock", "expected"),
    [(1.05, "events", ""), (2.0, "events", "1.00× → 2.00×"), (2.0, "estimated", "")],
)
def test_a_speed_differs_where_measured_intervals_are_apart(kit: Any, now: float, clock: str, expected: str) -> None:
    assert difference(kit.score(speedup=1.0), kit.score(speedup=now, clock=clock)) == expected


def test_each_code_is_judged_once_and_infra_is_no_verdict(kit: Any) -> None:
    first, repeat = kit.score(code="x"), replace(kit.score(code="x"), cached=True)
    other = kit.score(code="y")
    assert different_candidates([first, repeat, other, kit.score(Status.INFRA, code="z")]) == [repeat, other]
