"""The published schedule, as arithmetic."""

from random import Random

import pytest
from tritonrl_plugin_curriculum.published import PublishedSchedule, Rule, next_change

RULE = Rule(start_p=0.1, end_p=0.5, step=0.05, trigger=0.4, window=5)


def run(schedule: PublishedSchedule, rates: list[float], level: int = 1, first_step: int = 0) -> None:
    for step, rate in enumerate(rates, first_step):
        schedule.observe(level, "task", "", round(rate * 10), 10, step)


def test_share_rises_by_one_step_after_a_window_of_good_groups() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [0.4] * 4)
    assert schedule.share == 0.1
    run(schedule, [0.4], first_step=4)
    assert schedule.share == 0.15
    assert [(c.step, c.before, c.after) for c in schedule.changes] == [(4, 0.1, 0.15)]
    assert "mean level-1 correct rate 0.40 over the last 5 groups is at least 0.4" in schedule.changes[0].reason


def test_the_mean_decides_and_not_each_group() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [0.0, 1.0, 0.0, 1.0, 0.1])
    assert schedule.share == 0.15


def test_a_poor_window_slides_on_until_it_is_good() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [0.0, 0.3, 0.4, 0.4, 0.4])
    assert schedule.share == 0.1
    run(schedule, [0.5])
    assert schedule.share == 0.15


def test_each_change_needs_a_window_of_its_own() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [0.9] * 9)
    assert schedule.share == 0.15
    run(schedule, [0.9])
    assert schedule.share == 0.2


def test_share_stops_at_its_end() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [1.0] * 200)
    assert schedule.share == 0.5
    assert len(schedule.changes) == 8


def test_other_levels_do_not_count() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [1.0] * 20, level=2)
    assert schedule.share == 0.1


@pytest.mark.parametrize(("rates", "raises"), [([0.5, 0.6, 0.5, 0.5, 0.4], True), ([0.1, 0.9, 0.5, 0.5, 0.5], False)])
def test_a_bound_on_spread_asks_for_stability(rates: list[float], raises: bool) -> None:
    strict = Rule(0.1, 0.5, 0.05, 0.4, 5, max_spread=0.25)
    assert (next_change(strict, 0.1, rates, 0) is not None) is raises
    assert next_change(RULE, 0.1, rates, 0) is not None


def test_the_share_is_what_is_sampled() -> None:
    schedule = PublishedSchedule(RULE)
    run(schedule, [1.0] * 20)
    rng = Random(0)
    drawn = [schedule.sample([1, 2], 0, rng) for _ in range(4000)]
    assert drawn.count(2) / 4000 == pytest.approx(0.3, abs=0.03)
