"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal, Self

from pydantic import Field, model_validator

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import LevelStats, Score


class CurriculumPlugin(Plugin):
    """Moves the mix of levels as the model learns.

    Not built yet: it declines, and the base answers until it is built.
    """

    name = "curriculum"

    class Options(PluginOptions):
        """The published schedule: the probability of level 2 starts at `start_p` and grows by `step` up to `end_p` whenever
        the mean level-1 correct rate over the last `window` groups is at least `trigger`.
        """

        mode: Literal["published"] = "published"
        start_p: float = Field(default=0.1, ge=0, le=1)
        end_p: float = Field(default=0.5, ge=0, le=1)
        step: float = Field(default=0.05, gt=0, le=1)
        trigger: float = Field(default=0.4, ge=0, le=1)
        window: int = Field(default=5, ge=1)

        @model_validator(mode="after")
        def _start_before_end(self) -> Self:
            if self.start_p > self.end_p:
                raise ValueError(f"start_p ({self.start_p}) is above end_p ({self.end_p}); the share of level 2 only grows")
            return self

    options: Options

    @hookimpl
    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int | None:
        """Declines until it is built: the base draws from the fixed mix of the preset."""
        return None

    @hookimpl
    def observe_group(self, scores: Sequence[Score], step: int) -> None:
        """Learns nothing until it is built."""
