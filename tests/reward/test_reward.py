"""What a verdict earns, and how a group shares the credit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonrl_core.bench.timing.agreement import SCATTER_WITHIN
from tritonrl_core.reward import (
    EPSILON,
    CreditRules,
    group_credit,
    normalised,
    reward_parts,
    speed_reward,
)
from tritonrl_core.types import Candidate, Credit, RewardParts, Score, Stage, Status, Timing, Verdict


@dataclass(frozen=True)
class Speed:
    kind: str = "capped"
    cap: float = 3.0
    milestones: tuple[float, ...] = (1.0, 1.5, 2.0)
    bound: str = "point"
    estimated: bool = False


@dataclass(frozen=True)
class Settings:
    alpha: float = 0.1
    speed: Speed = Speed()


def timing(speedup: float, *, low: float | None = None, high: float | None = None, allowed: bool = True) -> Timing:
    return Timing(
        (1.0,),
        {"eager": (speedup,)},
        speedup,
        speedup if low is None else low,
        speedup if high is None else high,
        "H100",
        "graph",
        "events",
        reward_allowed=allowed,
    )


def score(correctness: float | None, speed: float | None, when: Timing | None = None) -> Score:
    status = Status.INFRA if correctness is None else Status.PASSED if correctness else Status.WRONG
    return Score(
        "t", 1, "k", Candidate.from_code("x"), Verdict(status, Stage.FULL), when, RewardParts(correctness, speed)
    )


def test_a_correct_kernel_earns_correctness_and_capped_speed() -> None:
    passed = Verdict(Status.PASSED, Stage.FULL, valid=True)
    assert reward_parts(passed, timing(2.0), Settings()) == RewardParts(1.0, 2.0)
    assert reward_parts(passed, timing(9.0), Settings()) == RewardParts(1.0, 3.0)
    assert reward_parts(passed, None, Settings()) == RewardParts(1.0, None), "our clock failed: left out, no penalty"


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.PASSED, Status.INFRA)])
def test_everything_else_earns_zero_and_never_none(status: Status) -> None:
    assert reward_parts(Verdict(status, Stage.FULL), timing(2.0), Settings()) == RewardParts(0.0, 0.0)


def test_infra_is_left_out() -> None:
    assert reward_parts(Verdict(Status.INFRA, Stage.FULL), None, Settings()) == RewardParts(None, None)


def test_validity_gates_both_parts() -> None:
    assert reward_parts(Verdict(Status.PASSED, Stage.FULL, valid=False), timing(2.0), Settings()) == RewardParts(
        0.0, 0.0
    )


def test_an_estimate_that_is_not_proven_earns_no_speed() -> None:
    passed = Verdict(Status.PASSED, Stage.FULL)
    wanted = Settings(speed=Speed(estimated=True))
    assert reward_parts(passed, timing(2.0, allowed=False), Settings()) == RewardParts(1.0, 0.0)
    assert reward_parts(passed, replace(timing(2.0, allowed=False), clock="estimated"), wanted) == RewardParts(1.0, 0.0)


def test_an_estimate_that_is_proven_earns_speed_where_the_preset_wants_it() -> None:
    passed, computed = Verdict(Status.PASSED, Stage.FULL), replace(timing(2.0), clock="estimated")
    assert reward_parts(passed, computed, Settings()) == RewardParts(1.0, 0.0)
    assert reward_parts(passed, computed, Settings(speed=Speed(estimated=True))) == RewardParts(1.0, 2.0)


def test_kinds_of_speed_reward() -> None:
    assert speed_reward(2.5, Speed("linear")) == 2.5
    assert [speed_reward(s, Speed("milestones")) for s in (0.9, 1.0, 1.7, 8.0)] == [0.0, 1 / 3, 2 / 3, 1.0]
    assert speed_reward(float("nan"), Speed()) == 0.0
    with pytest.raises(ValueError, match="cubic"):
        speed_reward(1.0, Speed("cubic"))


def test_credit_is_the_published_formula() -> None:
    correctness, speed = [1.0, 0.0, 1.0, 0.0], [2.0, 0.0, 1.0, 0.0]
    credit = group_credit([score(c, s) for c, s in zip(correctness, speed, strict=True)], alpha=0.1)
    for got, c, s in zip(credit, correctness, speed, strict=True):
        assert got.code == pytest.approx((c - fmean(correctness)) / (stdev(correctness) + EPSILON))
        assert got.plan == pytest.approx(0.1 * (s - fmean(speed)) / (stdev(speed) + EPSILON))


def test_one_reward_for_all_tokens_is_correctness_and_alpha_times_speed() -> None:
    rules = CreditRules(uniform=True)
    group = [score(1.0, 2.0), score(1.0, 1.0), score(0.0, 0.0)]
    expected = normalised([1.2, 1.1, 0.0])
    assert group_credit(group, 0.1, rules) == [Credit(pytest.approx(a), pytest.approx(a)) for a in expected]
    assert group_credit(group, 0.0, rules)[0] == group_credit(group, 0.0, rules)[1]
    # Where the clock failed, there is no reward to compare, and no penalty either.
    assert group_credit([*group, score(1.0, None)], 0.1, rules) == [*group_credit(group, 0.1, rules), Credit(0.0, 0.0)]


def test_infra_moves_no_mean_and_gets_nothing() -> None:
    whole = group_credit([score(1.0, 1.0), score(0.0, 0.0)], 0.1)
    with_infra = group_credit([score(1.0, 1.0), score(None, None), score(0.0, 0.0)], 0.1)
    assert with_infra == [whole[0], Credit(0.0, 0.0), whole[1]]


def test_groups_without_contrast_give_zeros() -> None:
    assert group_credit([score(1.0, 1.3)] * 4, 0.1) == [Credit(0.0, 0.0)] * 4
    assert group_credit([score(None, None)] * 3, 0.1) == [Credit(0.0, 0.0)] * 3
    assert group_credit([score(1.0, 1.0), score(None, None)], 0.1) == [Credit(0.0, 0.0)] * 2
    assert group_credit([], 0.1) == []


def test_speed_counts_only_from_a_share_of_correct_completions() -> None:
    group = [score(1.0, 2.0), score(1.0, 1.0), score(0.0, 0.0), score(0.0, 0.0)]
    assert all(credit.plan == 0.0 for credit in group_credit(group, 0.1, CreditRules(speed_from=0.6)))
    assert group_credit(group, 0.1, CreditRules(speed_from=0.5)) == group_credit(group, 0.1)


def test_timing_noise_alone_gives_no_credit() -> None:
    near = [score(1.0, s, timing(s, low=s - 0.1, high=s + 0.1)) for s in (1.50, 1.55, 1.60)]
    assert any(credit.plan for credit in group_credit(near, 0.1))
    assert all(credit.plan == 0.0 for credit in group_credit(near, 0.1, CreditRules(merge_noise=True)))
    far = [*near, score(1.0, 2.5, timing(2.5, low=2.4, high=2.6))]
    assert group_credit(far, 0.1, CreditRules(merge_noise=True)) == group_credit(far, 0.1)


def test_merging_noise_keeps_the_contrast_between_right_and_wrong() -> None:
    mixed = [score(1.0, s, timing(s, low=s - 0.1, high=s + 0.1)) for s in (1.50, 1.60)] + [score(0.0, 0.0)]
    first, second, wrong = group_credit(mixed, 0.1, CreditRules(merge_noise=True))
    assert first.plan == second.plan > 0 > wrong.plan


@given(st.lists(st.none() | st.floats(0, 10), max_size=12))
def test_normalised_rewards_are_centred_and_bounded(rewards: list[float | None]) -> None:
    result = normalised(rewards)
    assert len(result) == len(rewards)
    assert sum(result) == pytest.approx(0, abs=1e-6)
    assert all(abs(value) <= len(rewards) ** 0.5 for value in result)
    assert all(value == 0 for value, reward in zip(result, rewards, strict=True) if reward is None)


def test_what_is_uncertain_about_a_shared_baseline_does_not_hide_a_difference() -> None:
    def at(speedup: float, eager: float) -> Score:
        known = timing(speedup, low=0.9 * speedup, high=1.1 * speedup)
        known = replace(known, baseline_us={"eager": (eager,)}, facts={"candidate_half_width": 0.01})
        return score(1.0, speedup, known)

    rules = CreditRules(merge_noise=True)
    fast, slow = group_credit([at(1.1, 20.0), at(1.0, 20.0)], 0.1, rules)
    assert fast.plan > 0 > slow.plan
    assert not any(credit.plan for credit in group_credit([at(1.01, 20.0), at(1.0, 20.0)], 0.1, rules))
    assert not any(credit.plan for credit in group_credit([at(1.1, 20.0), at(1.0, 21.0)], 0.1, rules))
    again = [at(1.5, 30.0), at(1.0, 20.0)]  # the baseline was measured again; both candidates take as long
    assert not any(credit.plan for credit in group_credit(again, 0.1, rules))
    assert again[0].timing is not None
    again[0] = replace(again[0], timing=replace(again[0].timing, candidate_us=(0.7,)))
    assert group_credit(again, 0.1, rules)[0].plan > 0


def test_estimates_teach_only_where_they_differ_by_more_than_they_are_off() -> None:
    wanted, passed = Settings(speed=Speed("linear", estimated=True)), Verdict(Status.PASSED, Stage.FULL)

    def computed(speedup: float) -> Score:
        known = timing(speedup, low=speedup / 2, high=speedup * 2)
        facts = {"candidate_half_width": 1.96 * SCATTER_WITHIN}
        known = replace(known, clock="estimated", baseline_us={"eager": (10.0,)}, facts=facts)
        return replace(score(1.0, None, known), reward=reward_parts(passed, known, wanted))

    rules = CreditRules(merge_noise=True)
    assert not any(credit.plan for credit in group_credit([computed(1.0), computed(1.3)], 0.1, rules))
    fast, slow = group_credit([computed(3.0), computed(1.0)], 0.1, rules)
    assert fast.plan > 0 > slow.plan
