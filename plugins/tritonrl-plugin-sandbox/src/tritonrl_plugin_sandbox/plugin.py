"""The plugin's class: its options with their defaults, and its hook."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, model_validator
from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import SandboxJob, SandboxResult

from tritonrl_plugin_sandbox import prepare, report, worker
from tritonrl_plugin_sandbox.limits import tightest
from tritonrl_plugin_sandbox.profiles import CONFINED


class SandboxPlugin(Plugin):
    """Confines the child processes in which a model's code runs. Where it cannot, nothing runs."""

    name = "sandbox"

    class Options(PluginOptions):
        """`require` is the weakest tier accepted (`A` is strongest); `auto` takes what the host has, at least `C`.

        The three switches are layers; switching one off is told in every verdict, and goes with `require: auto` only.
        `time_s` and `cpu_s` are seconds, `memory_mb` and `output_mb` MiB; they lower the limits that a job comes with.
        """

        require: Literal["auto", "A", "B", "C"] = "auto"
        no_file_access: bool = True
        no_network: bool = True
        syscall_filter: bool = True
        time_s: float | None = Field(default=None, gt=0)
        cpu_s: float | None = Field(default=None, gt=0)
        memory_mb: int | None = Field(default=None, gt=0)
        output_mb: int | None = Field(default=None, gt=0)

        @model_validator(mode="after")
        def _tier_needs_all_layers(self) -> SandboxPlugin.Options:
            if self.require != "auto" and (off := self.switched_off()):
                raise ValueError(
                    f"require: {self.require} cannot be kept with {', '.join(sorted(off))} switched off; "
                    "set it back to true, or use require: auto"
                )
            return self

        def switched_off(self) -> frozenset[str]:
            """Names of the layers that are switched off."""
            return frozenset(name for name in prepare.WEAKENED if not getattr(self, name))

    options: Options

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self._prepared: tuple[int, prepare.Prepared] | None = None

    @hookimpl
    def sandbox_exec(self, job: SandboxJob) -> SandboxResult | None:
        """Run the job in a confined child. `refused` where the host or the child's self-test falls short."""
        if job.profile not in CONFINED:
            return worker.refused(f"there is no sandbox profile {job.profile!r}; known: {', '.join(CONFINED)}")
        try:
            box = self._own().box(job.profile)
        except prepare.Unfit as reason:
            return worker.refused(str(reason))
        limits = tightest(
            job.limits,
            wall_s=self.options.time_s,
            cpu_s=self.options.cpu_s,
            memory_bytes=_mebibytes(self.options.memory_mb),
            output_bytes=_mebibytes(self.options.output_mb),
        )
        return worker.run(SandboxJob(job.entry, limits, job.profile, job.keep_fds), box)

    @staticmethod
    def doctor() -> list[tuple[str, str, str]]:
        """Rows for `tritonrl doctor`: what, found, note. Takes a second or two: it runs the canaries."""
        found = report.host_report()
        held = sum(canary.held for canary in found.canaries)
        rows = [("sandbox tier", found.tier or "none", "" if found.tier else "nothing runs with `sandbox` enabled")]
        rows += [(f"  {layer.name}", "yes" if layer.there else "no", layer.note) for layer in found.layers]
        rows += [("  canaries", f"{held} of {len(found.canaries)} held", "")] if found.canaries else []
        return rows + [(f"  canary: {each.name}", "GOT THROUGH", each.note) for each in found.canaries if not each.held]

    def _own(self) -> prepare.Prepared:
        """What is prepared for this very process: descriptors and user ids do not survive a fork."""
        if self._prepared is None or self._prepared[0] != os.getpid():
            demand = prepare.Demand(self.options.require, self.options.switched_off())
            self._prepared = os.getpid(), prepare.prepare(demand)
        return self._prepared[1]


def _mebibytes(count: int | None) -> int | None:
    return None if count is None else count << 20
