"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from typing import Literal

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import SandboxJob, SandboxResult


class SandboxPlugin(Plugin):
    """Confines the child processes in which a model's code runs.

    Not built yet: it declines, and the base answers until it is built.
    """

    name = "sandbox"

    class Options(PluginOptions):
        """`require`: the weakest tier of isolation to accept (A is strongest), or `auto`: the best the host has."""

        require: Literal["auto", "A", "B", "C"] = "auto"

    options: Options

    @hookimpl
    def sandbox_exec(self, job: SandboxJob) -> SandboxResult | None:
        """Declines until it is built: the base forks a child with limits, and verdicts say `sandbox: none`."""
        return None
