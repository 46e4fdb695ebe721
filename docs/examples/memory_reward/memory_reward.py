"""An example plugin: a kernel that needs less memory than its group's others earns a little more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from pydantic import Field

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import Credit, Score, Status


class MemoryRewardPlugin(Plugin):
    """Adds a term for peak memory to the advantages that another assigned; it wraps, and so replaces nobody."""

    name = "memory_reward"

    class Options(PluginOptions):
        """`weight`: the advantage of needing no memory at all, beside the mean of the group's right kernels."""

        weight: float = Field(default=0.1, ge=0)

    options: Options

    @hookimpl(wrapper=True)
    def assign_credit(self, scores: Sequence[Score]) -> Generator[None, Sequence[Credit], Sequence[Credit]]:
        """Code tokens get `weight` × (mean - own) / mean of the peak bytes. Only right kernels are compared."""
        credits = yield
        right = [score for score in scores if score.verdict.status is Status.PASSED]
        known = [peak for score in right if (peak := score.verdict.facts.get("peak_bytes"))]
        if len(known) < 2:
            return credits
        mean = sum(known) / len(known)
        return [self._with_memory(credit, score, mean) for credit, score in zip(credits, scores, strict=True)]

    def _with_memory(self, credit: Credit, score: Score, mean: float) -> Credit:
        peak = score.verdict.facts.get("peak_bytes")
        if score.verdict.status is not Status.PASSED or not peak:
            return credit
        return replace(credit, code=credit.code + self.options.weight * (mean - peak) / mean)
