"""The plugin's class: its options with their defaults, and its hooks. The clock itself is the bench's."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from tritonrl_core.errors import InfraError
from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import Program, Task, Timing, TimingProtocol

Baseline = Literal["eager", "compiled"]

NOTHING_TO_TIME = "the timing plugin has nothing to time on this machine: the speed is the bench's estimate"


class TimingPlugin(Plugin):
    """Measures speed with a stated uncertainty; where there is no GPU it hands on the estimate and says so."""

    name = "timing"

    class Options(PluginOptions):
        """`warmup` and `trials` runs, of whose times the share `trim` is cut off each end. `adaptive` takes both as
        upper bounds and stops as soon as half of the 95 % interval is at most `ci` of the mean, or `budget_s` seconds
        are spent; `published` always runs them all. `captures` is at how many places in memory the same work is timed
        in turn. `speedup` is against the first of `baselines`.
        """

        mode: Literal["adaptive", "published"] = "adaptive"
        warmup: int = Field(default=20, ge=0)
        trials: int = Field(default=100, ge=2)
        trim: float = Field(default=0.1, ge=0, lt=0.5)
        ci: float = Field(default=0.005, gt=0, lt=1)
        budget_s: float = Field(default=1.0, gt=0)
        captures: int = Field(default=3, ge=1, le=16)
        baselines: Annotated[tuple[Baseline, ...], Field(min_length=1)] = ("eager",)

    options: Options

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    @property
    def protocol(self) -> TimingProtocol:
        """What the bench is asked for."""
        chosen = self.options
        return TimingProtocol(
            method=chosen.mode, warmup=chosen.warmup, trials=chosen.trials, trim=chosen.trim, ci=chosen.ci,
            budget_s=chosen.budget_s, baselines=chosen.baselines, captures=chosen.captures,
        )  # fmt: skip

    @hookimpl
    def measure_speed(self, task: Task, program: Program) -> Timing:
        """Time the program. Raises `InfraError` where the bench could not measure."""
        try:
            timing = program.time(self.protocol)
        except InfraError:
            self._count("not_measured")
            raise
        self._count("estimated" if timing.estimated else "measured")
        if timing.estimated:
            return replace(timing, notes=(*timing.notes, NOTHING_TO_TIME))
        self._count("gpu_ms", timing.facts.get("gpu_ms", 0.0))
        self._count("drifted", float(bool(timing.facts.get("drift"))))
        self._count("not_believed", float(not timing.reward_allowed))
        return timing

    @hookimpl
    def collect_metrics(self, step: int) -> Mapping[str, float]:
        """How many speeds were measured, estimated or could not be had since last asked, and the GPU's time for it."""
        with self._lock:
            seen, self._seen = self._seen, {}
        return seen

    def _count(self, name: str, amount: float = 1.0) -> None:
        with self._lock:
            self._seen[name] = self._seen.get(name, 0.0) + amount
