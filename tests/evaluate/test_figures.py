"""The figures and their intervals, against hand and against brute force."""

from __future__ import annotations

from itertools import combinations
from math import isnan, sqrt
from random import Random
from statistics import fmean
from typing import Any

import pytest

from tritonrl_core.evaluate import FAST_P, report
from tritonrl_core.evaluate.figures import by_task, figure_sums, ratios
from tritonrl_core.types import Status


def many(kit: Any, tasks: int = 30, samples: int = 4) -> list[Any]:
    rng = Random(3)
    return [
        kit.score(
            rng.choice([Status.PASSED, Status.WRONG]),
            task=f"t{task}",
            level=1 + task % 2,
            family="even" if task % 3 else "odd",
            speedup=rng.choice([None, 0.5, 1.0, 2.0]),
        )
        for task in range(tasks)
        for _ in range(samples)
    ]


def test_pass_at_every_k_is_the_mean_over_tasks_of_all_choices(kit: Any) -> None:
    scores = many(kit, tasks=7)
    groups = [[s.verdict.correct for s in scores if s.task_key == key] for key in by_task(scores)]
    figures = report(scores).overall.figures
    for k in (1, 2, 3, 4):
        brute = fmean(fmean(any(choice) for choice in combinations(group, k)) for group in groups)
        assert figures[f"pass@{k}"].value == pytest.approx(brute)


def test_pass_at_k_goes_up_to_the_fewest_samples_of_a_task(kit: Any) -> None:
    scores = [kit.score(task="a"), kit.score(task="a"), kit.score(task="b"), kit.score(Status.INFRA, task="b")]
    figures = report(scores).overall.figures
    assert "pass@1" in figures
    assert "pass@2" not in figures


def test_the_speedup_is_the_geometric_mean_of_what_is_right_and_timed(kit: Any) -> None:
    scores = [
        kit.score(speedup=2.0),
        kit.score(speedup=0.5, task="b"),
        kit.score(speedup=8.0, task="c"),
        kit.score(task="d"),
        kit.score(Status.WRONG, speedup=100.0, task="e"),
    ]
    assert report(scores).overall.figures["speedup"].value == pytest.approx(2.0)


def test_an_unknown_speedup_is_no_number(kit: Any) -> None:
    assert isnan(report([kit.score(Status.WRONG)]).overall.figures["speedup"].value)


def test_every_figure_lies_in_its_interval_and_narrows_with_tasks(kit: Any) -> None:
    few, more = report(many(kit, 30)).overall.figures, report(many(kit, 300)).overall.figures
    for name in ("pass@1", "pass@4", "correct", "fast_1", "speedup"):
        assert few[name].low <= few[name].value <= few[name].high
        assert more[name].high - more[name].low < few[name].high - few[name].low
    assert set(few) >= {f"fast_{p:g}" for p in FAST_P}


def test_the_interval_of_a_share_is_that_of_statistics(kit: Any) -> None:
    """One sample a task makes tasks independent draws, whose spread is known."""
    tasks = 400
    scores = [kit.score(Status.PASSED if task % 4 == 0 else Status.WRONG, task=f"t{task}") for task in range(tasks)]
    correct = report(scores).overall.figures["correct"]
    assert (correct.high - correct.low) / 2 == pytest.approx(1.96 * sqrt(0.25 * 0.75 / tasks), rel=0.15)


def test_few_tasks_have_figures_and_no_interval(kit: Any) -> None:
    correct = report([kit.score(task=str(task)) for task in range(4)]).overall.figures["correct"]
    assert correct.value == 1.0
    assert isnan(correct.low)
    assert isnan(correct.high)


def test_a_speedup_of_few_tasks_has_no_interval_among_many(kit: Any) -> None:
    scores = [kit.score(Status.WRONG, task=f"t{task}") for task in range(20)]
    figures = report([*scores, kit.score(task="right", speedup=1.24)]).overall.figures
    assert figures["speedup"].value == pytest.approx(1.24)
    assert isnan(figures["speedup"].low)
    assert not isnan(figures["correct"].low)


def test_levels_and_families_add_up_to_all(kit: Any) -> None:
    result = report(many(kit))
    for slices in (result.levels, result.families):
        assert sum(part.samples for part in slices) == result.overall.samples
        assert sum(part.tasks for part in slices) == result.overall.tasks
        right = sum(part.figures["correct"].value * part.samples for part in slices)
        assert right == pytest.approx(result.overall.figures["correct"].value * result.overall.samples)


def test_the_sums_of_tasks_give_the_figures_of_all(kit: Any) -> None:
    scores = many(kit)
    names, table = figure_sums(list(by_task(scores).values()))
    values = dict(zip(names, ratios(table.sum(axis=0)[None])[0], strict=True))
    overall = report(scores).overall.figures
    assert values["correct"] == pytest.approx(overall["correct"].value)
    assert values["fast_2"] == pytest.approx(report(scores).fast[2.0])
