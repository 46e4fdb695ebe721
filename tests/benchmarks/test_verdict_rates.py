"""How sure a ratio over a few rounds is."""

import random
import statistics

import pytest
from verdict_rates import Rounds, median_interval


@pytest.mark.parametrize(("count", "lowest"), [(2, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (20, 6)])
def test_the_interval_of_a_median_is_that_of_the_sign_tests_tables(count: int, lowest: int) -> None:
    assert median_interval(random.Random(count).sample(range(1, count + 1), count)) == (lowest, count + 1 - lowest)


def test_the_median_lies_in_it_as_often_as_it_says() -> None:
    rng = random.Random(0)
    draws = [median_interval([rng.lognormvariate(0.0, 1.0) for _ in range(10)]) for _ in range(2000)]
    inside = statistics.mean(low <= 1.0 <= high for low, high in draws)
    assert 0.96 < inside < 0.99  # 0.979 by the binomial distribution


def test_ratios_are_taken_within_a_round() -> None:
    found = Rounds()
    found.first.seconds, found.second.seconds = [1.0, 20.0, 3.3], [2.0, 40.0, 3.0]
    assert found.ratio() == 0.5
    assert found.interval() == (0.5, pytest.approx(1.1))
