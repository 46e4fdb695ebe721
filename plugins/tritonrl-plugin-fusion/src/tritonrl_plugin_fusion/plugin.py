"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.types import Task

Dtype = Literal["float32", "float16", "bfloat16"]


class FusionPlugin(Plugin):
    """Adds generated level-2 (fused) tasks to those of the preset.

    Not built yet: it declines, and the base answers until it is built.
    """

    name = "fusion"

    class Options(PluginOptions):
        """What to generate: `count` tasks of the `patterns` named (or `all`), in these `dtypes`."""

        patterns: Literal["all"] | tuple[str, ...] = "all"
        count: int = Field(default=200, ge=0)
        dtypes: tuple[Dtype, ...] = ("float32", "float16")

    options: Options

    @hookimpl
    def generate_tasks(self, split: str, seed: int) -> Iterable[Task] | None:
        """Declines until it is built: no task is added to the suite of the preset."""
        return None
