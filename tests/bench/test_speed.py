"""From raw times to a speedup with its uncertainty."""

import random
from dataclasses import replace

import pytest

from tritonrl_core.bench.timing import speed
from tritonrl_core.bench.timing.speed import (
    drifted,
    interval,
    relative_half_width,
    standard_error,
    timing_of,
    trimmed_mean,
)
from tritonrl_core.types import TimingProtocol

PROTOCOL = TimingProtocol("adaptive", trim=0.1)


def lanes(mean: float, noise: float, seed: int, *, places: float = 0.0, count: int = 12) -> list[list[float]]:
    draw = random.Random(seed)
    levels = [mean * draw.gauss(1, places) for _ in range(3)]
    return [[draw.gauss(level, noise * mean) for _ in range(count)] for level in levels]


def data(**more: object) -> dict[str, object]:
    return {"candidate_us": lanes(50, 0.01, 1), "baseline_us": {"eager": lanes(100, 0.01, 2)}, **more}


def test_trimming_cuts_both_ends():
    assert trimmed_mean([1, 2, 3, 4, 5, 6, 7, 8, 9, 1000], 0.1) == 5.5
    assert trimmed_mean([5.0], 0.4) == 5.0


def test_the_standard_error_of_a_trimmed_mean_is_that_of_many_such_means():
    draw = random.Random(0)
    sets = [[draw.gauss(100, 5) for _ in range(40)] for _ in range(500)]
    means = [trimmed_mean(one, 0.1) for one in sets]
    centre = sum(means) / len(means)
    real = (sum((mean - centre) ** 2 for mean in means) / (len(means) - 1)) ** 0.5
    said = sum(standard_error(one, 0.1) for one in sets) / len(sets)
    assert said == pytest.approx(real, rel=0.1)
    assert standard_error([1.0], 0.1) == float("inf")


def test_the_half_width_leaves_out_what_lies_between_places():
    apart = [[100.0, 101.0, 99.0] * 4, [120.0, 121.0, 119.0] * 4]
    assert relative_half_width(apart, 0.0) < 0.01


def test_the_interval_covers_the_truth():
    inside = 0
    for number in range(200):
        mine, theirs = lanes(50, 0.01, 2 * number), lanes(100, 0.01, 2 * number + 1)
        point, low, high = interval(mine, theirs, 0.1)
        assert low <= point <= high
        inside += low <= 2.0 <= high
    assert inside >= 185


def test_the_interval_covers_the_truth_where_places_differ():
    inside = sum(low <= 2.0 <= high for low, high in
                 (interval(lanes(50, 0.002, n, places=0.01), lanes(100, 0.002, n + 999, places=0.01), 0.1)[1:]
                  for n in range(200)))  # fmt: skip
    assert inside >= 160, "three places say little about how places differ; blind to them it would be a handful"


def test_the_interval_never_claims_more_than_the_clock_can():
    same = [[10.0] * 8] * 3
    _, low, high = interval(same, same, 0.1)
    assert high / low - 1 > 2 * speed.REPEAT


def test_a_timing_says_what_was_measured():
    timing = timing_of(data(facts={"floor_us": 20.0, "eager_wall_us": None}, notes=["a note"]), PROTOCOL, "GPU")
    assert timing.speedup == pytest.approx(2.0, rel=0.02)
    assert (timing.clock, timing.method, timing.device, timing.notes) == ("events", "adaptive", "GPU", ("a note",))
    assert len(timing.candidate_us) == 36
    assert timing.reward_allowed
    assert timing.facts.keys() == {"floor_us", "candidate_half_width"}
    own, both = timing.facts["candidate_half_width"], timing.speedup_high / timing.speedup_low - 1
    assert speed.REPEAT < own < both / 2  # the other part is the baseline's
    assert timing.speedups == {"eager": (timing.speedup, timing.speedup_low, timing.speedup_high)}


def test_the_best_baseline_is_the_fastest():
    both = data()
    both["baseline_us"] = {"eager": lanes(100, 0.01, 2), "compiled": lanes(60, 0.01, 3)}
    timing = timing_of(both, PROTOCOL, "GPU")
    assert timing.speedups["best"] == timing.speedups["compiled"]
    assert timing.speedup == timing.speedups["eager"][0]
    compiled = timing_of(both, replace(PROTOCOL, baselines=("compiled", "eager")), "GPU")
    assert compiled.speedup == timing.speedups["compiled"][0]


def test_a_time_below_the_floor_is_not_believed():
    timing = timing_of(data(facts={"floor_us": 70.0}), PROTOCOL, "GPU")
    assert not timing.reward_allowed
    assert "70.00 µs" in timing.notes[0]


def test_the_floor_does_not_count_where_the_reference_is_below_it_as_well():
    assert timing_of(data(facts={"floor_us": 200.0}), PROTOCOL, "GPU").reward_allowed


def test_drift_is_told_from_noise():
    known = lanes(100, 0.01, 1, count=30)
    assert drifted(known, lanes(100, 0.01, 2, count=4), 0.1) == 0
    assert drifted(known, lanes(105, 0.01, 3, count=4), 0.1) == pytest.approx(0.05, abs=0.02)
    assert drifted(known, lanes(110, 0.3, 4, count=4), 0.1) == 0, "what may be noise is no drift"
    assert drifted(known, lanes(102, 0.001, 5, count=4), 0.1) == 0, "a little is let pass"
