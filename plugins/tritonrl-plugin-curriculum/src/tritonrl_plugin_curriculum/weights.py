"""How much plans and speed count as training goes on: two departures from TritonRL's constant weights, off by default.

Works on advantages that another has normalised; knows nothing of rewards or groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi

from tritonrl_core.types import Credit


def progress(step: int, horizon: int) -> float:
    """Share of `horizon` steps that are done, from 0 to 1."""
    return min(1.0, max(0, step) / horizon)


def cosine(start: float, end: float, share: float) -> float:
    """From `start` at share 0 to `end` at share 1 along half a cosine (SGDR, arXiv 1608.03983, eq. 5)."""
    return end + (start - end) * (1 + cos(pi * share)) / 2


def reweigh(credits: Sequence[Credit], alpha: float, plan_weight: float, speed_share: float) -> list[Credit]:
    """Credits of one group with other weights; `alpha` is the weight that their plan advantages were made with.

    With A_speed = plan / alpha: the plan gets `plan_weight` · A_speed, and the code the mix
    (1 - `speed_share`) · A_correct + `speed_share` · A_speed. Needs alpha > 0.
    """
    return [
        Credit(
            plan=plan_weight * credit.plan / alpha,
            code=(1 - speed_share) * credit.code + speed_share * credit.plan / alpha,
        )
        for credit in credits
    ]
