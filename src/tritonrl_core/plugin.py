"""What a plugin is: a class with a name, typed options and hook implementations.

    from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl

    class MyPlugin(Plugin):
        name = "mine"

        class Options(PluginOptions):
            level: int = 1

        @hookimpl
        def sample_level(self, stats, step, rng):
            return self.options.level

A distribution names the class in the entry-point group `tritonrl.plugins`, under the name used in presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pluggy
from pydantic import BaseModel, ConfigDict

from tritonrl_core.hookspecs import PROJECT
from tritonrl_core.types import BenchRoom, Candidate, Task, TaskRoom

hookimpl = pluggy.HookimplMarker(PROJECT)


class PluginOptions(BaseModel):
    """Base of a plugin's options: immutable, unknown names refused, defaults are what the preset need not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin may know of the run it is in. `preset` is the resolved preset as plain data; do not change it.

    `tasks` answers for the tasks that a plugin makes, `benches` is for one that opens a bench; None where a plugin's
    object was made without a session.
    """

    seed: int = 0
    preset: Mapping[str, Any] = field(default_factory=dict)
    tasks: TaskRoom | None = None
    benches: BenchRoom | None = None


class Plugin:
    """Base class of every plugin. Subclass, name it, give it `Options` and decorate hooks with `@hookimpl`.

    One object lives as long as the session; hooks are called from many threads, so guard what you change. Override
    `state_dict`/`load_state_dict` where there is state that a resumed run needs.
    """

    name: ClassVar[str]
    hook_api: ClassVar[str] = ">=1.0,<2"
    """Range of `HOOK_API` that this plugin supports, as a PEP 440 specifier."""

    class Options(PluginOptions):
        """No options."""

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        self.options: Any = self.Options() if options is None else options
        self.context = context or PluginContext()

    @staticmethod
    def doctor() -> list[tuple[str, str, str]]:
        """What `tritonrl doctor` shows of this plugin on this machine: rows of (what, found, what to do about it)."""
        return []

    def known_solution(self, task: Task) -> Candidate | None:
        """A solution, with its plan, of a task that this plugin gave; None where it knows none.

        For training data, so it is judged before it is used. Not a hook: only who made a task can know.
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """State as plain JSON-able data, saved with each checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave, in a new process."""
