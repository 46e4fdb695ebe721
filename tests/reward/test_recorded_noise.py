"""Rewards of groups that were timed on a GPU: `timing_groups.json` is what `benchmarks/timing_noise.py` measured there.

Each group is eight right solutions of one task: one kernel under eight names (`same`), eight sources that are bound by
the same memory traffic (`different`), or four of two speeds each (`unequal`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tritonrl_core.bench.timing.speed import timing_of
from tritonrl_core.preset import load_preset
from tritonrl_core.reward import CreditRules, group_credit, reward_parts
from tritonrl_core.types import Candidate, RewardParts, Score, Stage, Status, Timing, TimingProtocol, Verdict

PRESET = load_preset("calibrated_timing_only")
RULES = CreditRules(speed_from=PRESET.reward.speed_from, merge_noise=PRESET.reward.merge_noise)
PROTOCOL = TimingProtocol("adaptive", trim=0.1)
CORRECT = Verdict(Status.PASSED, Stage.FULL)
PLACES = 3
SHORT_US = 15.0
"""Below, a tenth is not always told from noise."""

GROUPS: dict[str, list[list[dict[str, Any]]]] = json.loads(Path(__file__).with_name("timing_groups.json").read_text())


def places(samples: Sequence[float]) -> list[Sequence[float]]:
    """Samples by place: they were taken in turn, and are listed place by place."""
    sizes = [len(samples) // PLACES + (number < len(samples) % PLACES) for number in range(PLACES)]
    starts = [sum(sizes[:number]) for number in range(PLACES)]
    return [samples[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def scores(group: Sequence[dict[str, Any]]) -> list[Score]:
    found = []
    for row in group:
        data = {"candidate_us": places(row["candidate_us"]), "baseline_us": {"eager": places(row["eager_us"])}}
        timing = timing_of(data, PROTOCOL, "NVIDIA H200")
        reward = reward_parts(CORRECT, timing, PRESET.reward)
        found.append(Score("t", 2, "k", Candidate.from_code(""), CORRECT, timing, reward))
    return found


def silent(group: Sequence[dict[str, Any]], rules: CreditRules | None) -> bool:
    return not any(credit.plan for credit in group_credit(scores(group), PRESET.reward.alpha, rules))


@pytest.mark.parametrize("name", ["all_extensions", "gpu_8b"])
def test_presets_that_time_with_care_reward_with_care(name):
    reward = load_preset(name).reward
    assert (reward.speed, reward.speed_from, reward.merge_noise) == (
        PRESET.reward.speed, PRESET.reward.speed_from, PRESET.reward.merge_noise,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["same", "different"])
def test_groups_that_differ_by_noise_alone_teach_nothing(kind):
    groups = GROUPS[kind]
    assert sum(silent(group, RULES) for group in groups) >= 0.95 * len(groups)


@pytest.mark.parametrize("kind", ["same", "different"])
def test_by_the_published_rules_nearly_all_of_them_would(kind):
    groups = GROUPS[kind]
    assert sum(silent(group, None) for group in groups) <= 0.2 * len(groups)


def test_real_differences_still_teach_in_the_right_direction():
    for group in GROUPS["unequal"]:
        credits = [credit.plan for credit in group_credit(scores(group), PRESET.reward.alpha, RULES)]
        fast, slow = credits[0::2], credits[1::2]
        if group[0]["candidate_us"][0] > SHORT_US:
            assert min(fast) > max(slow)
        else:
            assert min(fast) >= max(slow)


def test_speed_counts_only_once_half_of_a_group_is_correct():
    group = scores(GROUPS["unequal"][0])
    wrong = [replace(score, verdict=replace(CORRECT, status=Status.WRONG), timing=None, reward=RewardParts(0.0, 0.0))
             for score in group]  # fmt: skip
    mostly_wrong, mostly_right = [*group[:3], *wrong[3:]], [*group[:5], *wrong[5:]]
    assert not any(credit.plan for credit in group_credit(mostly_wrong, 0.1, RULES))
    assert any(credit.plan for credit in group_credit(mostly_right, 0.1, RULES))


def test_the_lower_end_of_the_interval_is_what_is_paid_for():
    for score in scores(GROUPS["same"][0]):
        assert score.timing is not None
        assert score.reward.speed == pytest.approx(min(score.timing.speedup_low, PRESET.reward.speed.cap))
        assert score.timing.speedup_low < score.timing.speedup


VERDICTS: dict[str, list[list[list[float]]]] = json.loads(Path(__file__).with_name("timing_verdicts.json").read_text())
"""What the verifier's clock said of 48 groups of equal speed and 4 of two (2026-11-22, H200): median µs of a
candidate, its baseline's (another number: measured again), speedup, ends of its interval, half-width of its own."""


def verdicts(group: Sequence[Sequence[float]]) -> list[Score]:
    found = []
    for us, eager, speedup, low, high, own in group:
        timing = Timing((us,), {"eager": (eager,)}, speedup, low, high, "NVIDIA H200", "adaptive", "events",
                        facts={"candidate_half_width": own})  # fmt: skip
        reward = reward_parts(CORRECT, timing, PRESET.reward)
        found.append(Score("t", 2, "k", Candidate.from_code(""), CORRECT, timing, reward))
    return found


@pytest.mark.parametrize("kind", ["same", "different"])
def test_by_todays_clock_noise_teaches_nothing_and_by_the_published_rules_always(kind):
    credits = [group_credit(verdicts(group), 0.1, RULES) for group in VERDICTS[kind]]
    silent_groups = sum(not any(credit.plan for credit in group) for group in credits)
    assert (len(credits), silent_groups) == (24, 24)
    assert all(any(credit.plan for credit in group_credit(verdicts(group), 0.1)) for group in VERDICTS[kind])


def test_by_todays_clock_a_twentieth_teaches_at_nine_microseconds():
    for group in VERDICTS["unequal"]:
        credits = [credit.plan for credit in group_credit(verdicts(group), 0.1, RULES)]
        assert min(credits[0::2]) > max(credits[1::2])
