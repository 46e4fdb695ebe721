"""Partial credit: part of the correctness reward by the stage that a wrong candidate reached. Off unless asked for.

Only advantages change: the verdict stays what it is, and so do the rewards that are shown and stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

from tritonrl_core.types import Credit, Score, Stage, Status

CREDIT: Mapping[Stage, float] = {
    Stage.AST: 0.0,
    Stage.RECORD: 0.1,
    Stage.COMPILE: 0.2,
    Stage.TINY: 0.3,
    Stage.FULL: 0.4,
}
"""Reward of an honest candidate that was ended at this stage; less than half of a right one's, in equal steps."""

_NO_CREDIT = (Status.REJECTED, Status.CHEATED, Status.UNSUPPORTED)
_EPSILON = 1e-4


def partial_reward(score: Score) -> float | None:
    """1 for a right candidate, None for our own fault, 0 for what broke a rule, else by the stage that ended it."""
    if score.reward.correctness is None or score.reward.correctness > 0:
        return score.reward.correctness
    if score.verdict.status in _NO_CREDIT:
        return 0.0
    return CREDIT.get(score.verdict.stage, 0.0)


def with_partial_credit(scores: Sequence[Score], credits: Sequence[Credit]) -> list[Credit]:
    """The credits with the code's advantage made from partial rewards, normalised over the group as GRPO does."""
    rewards = [partial_reward(score) for score in scores]
    known = [reward for reward in rewards if reward is not None]
    if not known or max(known) == min(known):
        return list(credits)
    mean = sum(known) / len(known)
    deviation = sqrt(sum((reward - mean) ** 2 for reward in known) / (len(known) - 1))
    return [
        replace(credit, code=0.0 if reward is None else (reward - mean) / (deviation + _EPSILON))
        for credit, reward in zip(credits, rewards, strict=True)
    ]
