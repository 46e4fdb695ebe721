"""What a verdict earns, and how a group of completions shares the credit. Pure arithmetic; no hooks, no tensors.

TritonRL (arXiv 2510.17891) splits the reward of a completion: the code learns from correctness, the plan from speedup,
both gated by validity. With r the parts of one group's completions,

    A_code = (r_correct - mean(r_correct)) / (std(r_correct) + EPSILON)
    A_plan = alpha * (r_speed - mean(r_speed)) / (std(r_speed) + EPSILON)

where std is the sample deviation (n - 1), as in TRL's GRPO, and a group in which all are alike gives zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import copysign, hypot, inf, isfinite, log, sqrt
from statistics import NormalDist, median
from typing import Protocol

from tritonrl_core.types import Credit, RewardParts, Score, Status, Timing, Verdict

EPSILON = 1e-4
"""Added to the deviation, as TRL does."""

CHANCE = 0.002
"""How often a group of equal speeds may be taken for unequal."""


class SpeedReward(Protocol):
    """How speedup becomes reward: `capped` (min(speedup, cap)), `milestones` (share of the thresholds reached) or
    `linear` (the speedup itself). `bound` is which figure counts: the `point` estimate, or the `low` end of its
    interval. `estimated`: whether a speed that was computed counts like one that was measured."""

    @property
    def kind(self) -> str: ...
    @property
    def cap(self) -> float: ...
    @property
    def milestones(self) -> Sequence[float]: ...
    @property
    def bound(self) -> str: ...
    @property
    def estimated(self) -> bool: ...


class RewardSettings(Protocol):
    """The preset's `reward:` section."""

    @property
    def alpha(self) -> float: ...
    @property
    def speed(self) -> SpeedReward: ...


def reward_parts(verdict: Verdict, timing: Timing | None, settings: RewardSettings) -> RewardParts:
    """Correctness 1 or 0, and the speed reward of a correct kernel (0 for all others).

    Both are None only for `INFRA`, and speed alone where our clock failed: our fault is left out and never punished. An
    estimate earns no speed unless the preset wants it to and it may enter a reward (`Timing.reward_allowed`).
    """
    if verdict.status is Status.INFRA:
        return RewardParts(correctness=None, speed=None)
    if verdict.status is not Status.PASSED or verdict.valid is False:
        return RewardParts(correctness=0.0, speed=0.0)
    if timing is None:
        return RewardParts(correctness=1.0, speed=None)
    if not timing.reward_allowed or (timing.estimated and not settings.speed.estimated):
        return RewardParts(correctness=1.0, speed=0.0)
    speedup = timing.speedup_low if settings.speed.bound == "low" else timing.speedup
    return RewardParts(correctness=1.0, speed=speed_reward(speedup, settings.speed))


def speed_reward(speedup: float, settings: SpeedReward) -> float:
    """Reward of a correct kernel `speedup` times as fast as the baseline. Raises ValueError for an unknown kind."""
    if not isfinite(speedup) or speedup < 0:
        return 0.0
    match settings.kind:
        case "capped":
            return min(speedup, settings.cap)
        case "milestones":
            return sum(speedup >= threshold for threshold in settings.milestones) / max(len(settings.milestones), 1)
        case "linear":
            return speedup
    raise ValueError(f"unknown kind of speed reward: {settings.kind!r}")


@dataclass(frozen=True, slots=True)
class CreditRules:
    """Departures from TritonRL, all off by default.

    `speed_from`: speed counts only in groups with at least this share of correct completions.
    `merge_noise`: where no two correct completions of a group differ in speed by more than the noise, all of them count
    as equally fast, so that a group that differs by timing noise alone teaches nothing.
    `uniform`: what the split is compared with. All tokens learn from one reward, r_correct + alpha * r_speed.
    """

    speed_from: float = 0.0
    merge_noise: bool = False
    uniform: bool = False


def group_credit(scores: Sequence[Score], alpha: float, rules: CreditRules | None = None) -> list[Credit]:
    """Advantages of one group (all completions of one prompt), in order. INFRA gets zeros and moves no mean."""
    rules = rules or CreditRules()
    correctness = [score.reward.correctness for score in scores]
    speeds = [score.reward.speed for score in scores]
    if rules.merge_noise:
        speeds = _merge_noise(scores, speeds)
    known = [value for value in correctness if value is not None]
    counts = bool(known) and sum(known) / len(known) >= rules.speed_from
    if rules.uniform:
        whole = [_whole(c, s, alpha if counts else 0.0) for c, s in zip(correctness, speeds, strict=True)]
        return [Credit(plan=advantage, code=advantage) for advantage in normalised(whole)]
    plan = normalised(speeds) if counts else [0.0] * len(scores)
    return [Credit(plan=alpha * p, code=c) for p, c in zip(plan, normalised(correctness), strict=True)]


def _whole(correctness: float | None, speed: float | None, alpha: float) -> float | None:
    """One reward of both parts; None where a part that counts is not known."""
    if correctness is None or (speed is None and alpha > 0):
        return None
    return correctness + alpha * (speed or 0.0)


def normalised(rewards: Sequence[float | None]) -> list[float]:
    """(r - mean) / (std + EPSILON) over what is known; 0 for None and where there is nothing to compare."""
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2 or max(known) == min(known):
        return [0.0] * len(rewards)
    mean = sum(known) / len(known)
    std = sqrt(sum((reward - mean) ** 2 for reward in known) / (len(known) - 1))
    return [0.0 if reward is None else (reward - mean) / (std + EPSILON) for reward in rewards]


def _merge_noise(scores: Sequence[Score], speeds: Sequence[float | None]) -> list[float | None]:
    """Speed rewards with those of completions that no clock can tell apart replaced by their mean."""
    timed = [
        (place, score.timing, speed)
        for place, (score, speed) in enumerate(zip(scores, speeds, strict=True))
        if score.reward.correctness and score.timing is not None and score.timing.reward_allowed and speed is not None
    ]
    merged = list(speeds)
    if not timed or distinguishable([timing for _, timing, _ in timed]):
        return merged
    mean = sum(speed for _, _, speed in timed) / len(timed)
    for place, _, _ in timed:
        merged[place] = mean
    return merged


def distinguishable(timings: Sequence[Timing]) -> bool:
    """Whether any two speedups differ by more than their intervals explain.

    Every pair is tested on the logarithms at level `CHANCE` shared among all pairs (Bonferroni), so that a group of
    equal speeds is taken for unequal in at most that share of cases, however large it is. Where both are held against
    the same samples of a baseline, what is uncertain about these is the same for both and does not count. Where they
    are not (it was measured again between them), the candidates' own times must say the same as the speedups.
    """
    pairs = list(combinations([timing for timing in timings if timing.speedup > 0], 2))
    if not pairs:
        return False
    threshold = NormalDist().inv_cdf(1 - CHANCE / (2 * len(pairs)))
    return any(_differ(one, other, threshold) for one, other in pairs)


def _differ(one: Timing, other: Timing, threshold: float) -> bool:
    """Whether two speedups are further apart than so many standard deviations."""
    apart = log(one.speedup / other.speedup)
    mine, theirs = _own_deviation(one), _own_deviation(other)
    if _yardstick(one) == _yardstick(other) and mine and theirs:
        return abs(apart) > threshold * hypot(mine, theirs)
    if abs(apart) <= threshold * hypot(_deviation(one), _deviation(other)):
        return False
    if not mine or not theirs:
        return True
    slower = log(median(other.candidate_us) / median(one.candidate_us))
    return copysign(slower, slower * apart) > threshold * hypot(mine, theirs)


def _yardstick(timing: Timing) -> Sequence[float]:
    """Samples of the baseline that the speedup is against."""
    return tuple(next(iter(timing.baseline_us.values()), ()))


def _own_deviation(timing: Timing) -> float:
    """Standard deviation of the logarithm of the candidate's own time; 0 where nobody said."""
    own = timing.facts.get("candidate_half_width")
    return own / 1.96 if isinstance(own, float) else 0.0


def _deviation(timing: Timing) -> float:
    """Standard deviation of a speedup's logarithm, from its 95 % interval."""
    if not 0 < timing.speedup_low <= timing.speedup_high:
        return inf
    return log(timing.speedup_high / timing.speedup_low) / (2 * 1.96)
