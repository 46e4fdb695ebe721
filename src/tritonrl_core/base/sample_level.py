"""`sample_level` of the base: the preset's fixed mix."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tritonrl_core.types import LevelStats


def sample_level(mix: Mapping[int, float], stats: Mapping[int, LevelStats], rng: Random) -> int:
    """Draw a level by the mix, of those that there are tasks of; one draw from `rng`, whatever the mix.

    Where the mix gives no weight to any level there is, all of them are as likely.
    """
    levels = sorted(stats) or sorted(mix)
    weights = [mix.get(level, 0.0) for level in levels]
    return rng.choices(levels, weights if sum(weights) > 0 else None)[0]
