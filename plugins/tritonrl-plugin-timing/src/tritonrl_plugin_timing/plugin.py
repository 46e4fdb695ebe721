"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import Program, Task, Timing


class TimingPlugin(Plugin):
    """Measures speed with a stated uncertainty.

    Not built yet: it declines, and the base answers until it is built.
    """

    name = "timing"

    class Options(PluginOptions):
        """`warmup` and `trials` runs, of whose times the share `trim` is cut off each end. `adaptive` takes both as
        upper bounds and stops as soon as the interval is narrow enough; `published` always runs them all.
        """

        mode: Literal["adaptive", "published"] = "adaptive"
        warmup: int = Field(default=20, ge=0)
        trials: int = Field(default=100, ge=1)
        trim: float = Field(default=0.1, ge=0, lt=0.5)

    options: Options

    @hookimpl
    def measure_speed(self, task: Task, program: Program) -> Timing | None:
        """Declines until it is built: the base takes the mean of a few synchronised runs."""
        return None
