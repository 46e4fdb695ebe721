"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tritonrl_core.errors import PluginError, did_you_mean
from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import Candidate, Task
from tritonrl_plugin_fusion.blueprint import Blueprint
from tritonrl_plugin_fusion.stream import COMPOSED, KNOWN, Tally, Wanted, take

Dtype = Literal["float32", "float16", "bfloat16"]
Share = Annotated[float, Field(ge=0, le=1)]
BESIDE_A_SMALL_MODELS = 8
"""Tasks where the preset does not say how many and a bundled small model brings tasks of its own size: it can learn
little from these."""

REMEMBERED = 20_000
"""Blueprints kept for their solutions (a few hundred bytes each)."""


class FusionPlugin(Plugin):
    """Adds generated level-2 (fused) tasks to those of the preset, and knows a solution for each."""

    name = "fusion"

    class Options(PluginOptions):
        """What to generate: `count` tasks of the `patterns` named (or `all`), in these `dtypes`.

        Without a `count` there are 8 only beside the tasks that a bundled small model brings of its own size.
        `dtypes`: the first is what references are written in, the others are those that they may take beside. `shapes`:
        sets of sizes that one computation of a named pattern may come in; `auto` is one beside the composer, and as
        many as it takes without. `operators`: fewest and most that the composer puts behind one another. `composed`:
        its share of the draws where `patterns` has others too. `saving`: lower bounds of the share of memory traffic
        that perfect fusion saves, each with the weight of tasks from there to the next bound. `held_out`: tasks for
        the held-out split, all composed, of computations that no seed trains on.
        """

        patterns: Literal["all"] | tuple[str, ...] = "all"
        count: int = Field(default=200, ge=0)
        dtypes: tuple[Dtype, ...] = Field(default=("float32", "float16"), min_length=1)
        shapes: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
        operators: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=12)]] = (2, 6)
        composed: Share = 0.6
        saving: dict[Share, Annotated[float, Field(gt=0)]] = Field(default={0.3: 1.0}, min_length=1)
        held_out: int = Field(default=0, ge=0)

        @field_validator("patterns")
        @classmethod
        def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
            for name in () if isinstance(value, str) else value:
                if name not in KNOWN:
                    raise ValueError(f"there is no pattern {name!r}. {did_you_mean(name, KNOWN)}")
            return value

        @model_validator(mode="after")
        def _in_order(self) -> Self:
            if self.operators[0] > self.operators[1]:
                raise ValueError(f"operators: {self.operators[0]} is more than {self.operators[1]}")
            return self

    options: Options

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self._made: OrderedDict[str, Blueprint] = OrderedDict()
        self._lock = threading.Lock()
        self.tally = Tally()

    @hookimpl
    def generate_tasks(self, split: str, seed: int) -> Iterable[Task] | None:
        """Tasks that are examined, told apart, kept away from what is tested on, and graded."""
        if self.context.tasks is None:
            raise PluginError(
                "fusion was made without a session, so nothing can examine what it generates",
                remedy='Use `generate_tasks(load_preset("baseline").with_plugins(fusion={...}))`.',
            )
        wanted = self._wanted(split)
        if "count" not in self.options.model_fields_set and self.context.tasks.suite() not in ("builtin", "none"):
            wanted = replace(wanted, count=min(wanted.count, BESIDE_A_SMALL_MODELS))
        return self._generate(wanted, split, seed)

    def known_solution(self, task: Task) -> Candidate | None:
        """The composed solution of a task that this session generated."""
        with self._lock:
            blueprint = self._made.get(task.key)
        return None if blueprint is None else blueprint.solution().candidate()

    def _generate(self, wanted: Wanted, split: str, seed: int) -> Iterator[Task]:
        assert self.context.tasks is not None
        size = self.context.preset.get("tasks", {}).get("size", "small")
        self.tally = tally = Tally()
        for task, blueprint in take(wanted, seed, split, size, self.context.tasks, tally):
            self._remember(task, blueprint)
            yield task

    def _wanted(self, split: str) -> Wanted:
        options = self.options
        patterns = KNOWN if options.patterns == "all" else options.patterns
        alone = split == "held_out"
        return Wanted(
            count=options.held_out if alone else options.count,
            patterns=(COMPOSED,) if alone else tuple(patterns),
            dtypes=options.dtypes,
            operators=options.operators,
            composed=options.composed,
            shapes=(1 if COMPOSED in patterns else 0) if options.shapes == "auto" else options.shapes,
            saving=options.saving,
        )

    def _remember(self, task: Task, blueprint: Blueprint) -> None:
        with self._lock:
            self._made[task.key] = blueprint
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
