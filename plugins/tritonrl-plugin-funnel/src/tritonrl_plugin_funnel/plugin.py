"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import Candidate, Objection, Program, Task


class FunnelPlugin(Plugin):
    """Asks cheap questions about a kernel before dear ones.

    Not built yet: it declines, and the base answers until it is built.
    """

    name = "funnel"

    class Options(PluginOptions):
        """Which stages are asked, cheapest first, and whether a candidate that got further earns part of the reward."""

        ast: bool = True
        compile: bool = True
        tiny_run: bool = True
        partial_credit: bool = False

    options: Options

    @hookimpl
    def pre_filter(self, task: Task, candidate: Candidate, program: Program) -> Objection | None:
        """Declines until it is built: only the base's rules on syntax and Triton validity are asked."""
        return None
