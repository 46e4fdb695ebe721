"""`assign_credit` of the base: code learns from correctness, the plan from speed (TritonRL, arXiv 2510.17891)."""

from __future__ import annotations

from collections.abc import Sequence

from tritonrl_core.preset import RewardSettings
from tritonrl_core.reward import CreditRules, group_credit
from tritonrl_core.types import Credit, Score


def assign_credit(scores: Sequence[Score], settings: RewardSettings) -> list[Credit]:
    """Advantages of one group by the preset's reward settings."""
    rules = CreditRules(speed_from=settings.speed_from, merge_noise=settings.merge_noise, uniform=settings.uniform)
    return group_credit(scores, settings.alpha, rules)
