"""The figures of an evaluation: estimators against brute force, INFRA left out, samples counted as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

import pytest

from tritonrl_core.evaluate import bootstrap_interval, evaluate_policy, fast_p, pass_at_k, report
from tritonrl_core.types import Candidate, RewardParts, Score, Stage, Status, Task, Timing, Verdict


def score(status: Status, *, task: str = "a", level: int = 1, speedup: float | None = None) -> Score:
    timing = None if speedup is None else Timing((1.0,), {}, speedup, speedup, speedup, "", "", "events")
    passed = status is Status.PASSED
    verdict = Verdict(
        status, Stage.FULL, valid=status is not Status.REJECTED, compiled=passed or status is Status.WRONG
    )
    return Score(task, level, task, Candidate.from_code("x"), verdict, timing, RewardParts(float(passed), 0.0))


@pytest.mark.parametrize(("n", "c", "k"), [(5, 0, 2), (5, 2, 1), (5, 2, 3), (6, 5, 2), (4, 4, 4)])
def test_pass_at_k_is_the_mean_over_all_choices(n: int, c: int, k: int) -> None:
    outcomes = [True] * c + [False] * (n - c)
    brute = fmean(any(choice) for choice in combinations(outcomes, k))
    assert pass_at_k(n, c, k) == pytest.approx(brute)


def test_pass_at_k_of_fewer_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="pass@5 of 4"):
        pass_at_k(4, 1, 5)


def test_fast_p_needs_both() -> None:
    scores = [
        score(Status.PASSED, speedup=1.5),
        score(Status.PASSED, speedup=0.7),
        score(Status.PASSED),
        score(Status.WRONG),
    ]
    assert [fast_p(scores, p) for p in (0, 0.5, 1, 2)] == [0.75, 0.5, 0.25, 0.0]


def test_report_counts_by_task_level_and_status() -> None:
    scores = [
        score(Status.PASSED, task="a"),
        score(Status.WRONG, task="a"),
        score(Status.REJECTED, task="b", level=2),
        score(Status.UNSUPPORTED, task="b", level=2),
        score(Status.INFRA, task="b", level=2),
    ]
    got = report(scores)
    assert (got.tasks, got.samples, got.infra, got.unsupported) == (2, 4, 1, 1)
    assert (got.correct, got.valid, got.compiled) == (0.25, 0.75, 0.5)
    assert got.pass_at == {1: 0.25, 2: 0.5}
    assert got.by_level == {1: 0.5, 2: 0.0}
    assert got.statuses == {"INFRA": 1, "PASSED": 1, "REJECTED": 1, "UNSUPPORTED": 1, "WRONG": 1}


def test_an_empty_evaluation_gives_zeros() -> None:
    assert report([]).correct == 0.0


def test_interval_covers_the_share_and_narrows_with_tasks() -> None:
    few = bootstrap_interval([[True, True], [False, False]] * 5)
    many = bootstrap_interval([[True, True], [False, False]] * 100)
    assert few[0] < 0.5 < few[1]
    assert many[1] - many[0] < few[1] - few[0]


class Parrot:
    """Answers each prompt with a number that rises; remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def prompt(self, task: Task) -> str:
        return task.id

    def sample(self, prompts: Sequence[str], **how: Any) -> list[str]:
        self.asked = {"prompts": list(prompts), **how}
        return [f"```python\n{number}\n```" for number in range(len(prompts))]


class Even:
    """Passes even numbers."""

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        return [
            score(Status.PASSED if int(candidate.code) % 2 == 0 else Status.WRONG, task=task.id)
            for task, candidate in jobs
        ]


def test_each_task_is_sampled_as_often_as_asked() -> None:
    parrot = Parrot()
    got = evaluate_policy(parrot, [Task("a", 1, ""), Task("b", 1, "")], Even(), samples=3, temperature=0.5, seed=9)
    assert parrot.asked["prompts"] == ["a"] * 3 + ["b"] * 3
    assert (parrot.asked["temperature"], parrot.asked["seed"]) == (0.5, 9)
    assert got.correct == 0.5
    assert got.pass_at[3] == 1.0
