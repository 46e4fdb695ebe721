"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from pydantic import Field

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import Program, Task, Verdict


class MultiInputPlugin(Plugin):
    """Checks a kernel on several inputs that vary what the task declares variable.

    Not built yet: it declines, and the base answers until it is built.
    """

    name = "multi_input"

    class Options(PluginOptions):
        """How many inputs (`num_tests`) and what varies between them; only what a task declares may vary."""

        num_tests: int = Field(default=5, ge=1)
        shapes: bool = True
        values: bool = True
        dtypes: bool = False
        layouts: bool = True

    options: Options

    @hookimpl
    def check_correctness(self, task: Task, program: Program) -> Verdict | None:
        """Declines until it is built: the base checks one input."""
        return None
