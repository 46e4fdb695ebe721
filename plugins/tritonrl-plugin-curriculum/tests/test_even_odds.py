"""Sampling near one half, as arithmetic."""

from collections import Counter
from random import Random

import pytest
from tritonrl_plugin_curriculum.even_odds import LIKENESS, EvenOdds, Rate, nearest_to_half

from tritonrl_core.types import Task


def share(mode: EvenOdds, level: int, step: int = 0, draws: int = 4000) -> float:
    rng = Random(1)
    return sum(mode.sample([1, 2], step, rng) == level for _ in range(draws)) / draws


def test_nothing_seen_is_no_preference() -> None:
    assert share(EvenOdds(floor=0.0, half_life=50), 2) == pytest.approx(0.5, abs=0.03)


def test_the_level_with_even_odds_is_preferred() -> None:
    mode = EvenOdds(floor=0.0, half_life=50)
    for _ in range(10):
        mode.observe(1, "easy", "", 8, 8, 0)
        mode.observe(2, "even", "", 4, 8, 0)
    assert share(mode, 2) > 0.99


def test_always_right_and_never_right_do_not_average_to_even() -> None:
    mode = EvenOdds(floor=0.0, half_life=50)
    for _ in range(10):
        mode.observe(1, "easy", "", 8, 8, 0)
        mode.observe(1, "hopeless", "", 0, 8, 0)
        mode.observe(2, "fair", "", 3, 8, 0)
    assert share(mode, 2) > 0.99


def test_every_level_keeps_its_floor() -> None:
    mode = EvenOdds(floor=0.1, half_life=50)
    for _ in range(50):
        mode.observe(1, "easy", "", 8, 8, 0)
        mode.observe(2, "even", "", 4, 8, 0)
    assert share(mode, 1) == pytest.approx(0.1, abs=0.02)


def test_a_floor_too_high_for_the_levels_is_an_equal_mix() -> None:
    mode, rng = EvenOdds(floor=0.5, half_life=50), Random(0)
    drawn = [mode.sample([1, 2, 3], 0, rng) for _ in range(3000)]
    assert min(drawn.count(level) for level in (1, 2, 3)) > 900


def test_what_was_not_seen_for_long_is_uncertain_again() -> None:
    mode = EvenOdds(floor=0.0, half_life=10)
    mode.observe(1, "easy", "", 40, 40, 0)
    mode.observe(2, "even", "", 20, 40, 0)
    assert share(mode, 1, step=0) < 0.05
    assert share(mode, 1, step=100) > 0.4
    assert mode.metrics(100)["uncertainty_level_1"] > 3 * mode.metrics(0)["uncertainty_level_1"]


def test_a_rate_is_the_beta_posterior() -> None:
    rate = Rate().seen(3, 8, 0, 50)
    assert (rate.mean, rate.deviation) == (0.4, pytest.approx((0.4 * 0.6 / 11) ** 0.5))
    assert rate.at(50, 50) == Rate(1.5, 2.5, 50)


def test_the_nearest_to_half_wins() -> None:
    rates = [Rate(1000, 1), Rate(500, 500), Rate(1, 1000)]
    assert {nearest_to_half(rates, Random(seed)) for seed in range(20)} == {1}


TASKS = [
    Task(f"{family}_{n}", 1, f"{family} {n}", family=family) for family in ("easy", "even", "hard") for n in range(8)
]


def chosen(mode: EvenOdds, tasks: list[Task] = TASKS, draws: int = 2000) -> Counter[str]:
    """How often a task of each family is taken."""
    rng = Random(2)
    return Counter(mode.sample_task(tasks, 0, rng).family for _ in range(draws))


def test_within_a_level_tasks_near_even_odds_are_taken() -> None:
    mode = EvenOdds(floor=0.0, half_life=50)
    for task in TASKS:
        mode.observe(1, task.key, task.family, {"easy": 8, "even": 4, "hard": 0}[task.family], 8, 0)
    assert chosen(mode)["even"] > 1900


def test_a_task_that_was_never_seen_is_taken_for_one_of_its_family() -> None:
    mode = EvenOdds(floor=0.0, half_life=50)
    for _ in range(6):
        for family, right in (("easy", 8), ("even", 4), ("hard", 0)):
            mode.observe(1, f"another {family}", family, right, 8, 0)
    counts = chosen(mode)
    assert counts["even"] > 3 * counts["easy"]
    assert counts["even"] > 3 * counts["hard"]
    rate = mode.rate(TASKS[0], 0)
    assert rate.right + rate.wrong == LIKENESS  # however much of its family is known


def test_what_is_known_of_a_task_weighs_more_than_its_family() -> None:
    mode = EvenOdds(floor=0.0, half_life=50)
    mode.observe(1, TASKS[0].key, "easy", 12, 24, 0)
    for _ in range(10):
        mode.observe(1, "another", "easy", 8, 8, 0)
    assert 0.5 < mode.rate(TASKS[0], 0).mean < 0.6
    assert mode.rate(TASKS[1], 0).mean > 0.7


def test_nothing_is_forgotten_within_a_level() -> None:
    mode, rng = EvenOdds(floor=0.2, half_life=50), Random(0)
    for task in TASKS:
        mode.observe(1, task.key, task.family, 4 if task is TASKS[8] else 8, 8, 0)
    drawn = [mode.sample_task(TASKS, 0, rng) for _ in range(1000)]
    assert 150 < sum(task is TASKS[0] for task in drawn) < 300  # the one whose turn it is
    assert sum(task is TASKS[8] for task in drawn) > 600


def test_of_many_tasks_a_part_competes_and_each_may() -> None:
    many = [Task(f"t{n}", 1, str(n)) for n in range(150)]
    rng = Random(0)
    assert len({EvenOdds(0.0, 50).sample_task(many, 0, rng).id for _ in range(600)}) > 140
