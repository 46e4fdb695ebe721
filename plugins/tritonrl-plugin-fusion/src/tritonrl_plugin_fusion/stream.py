"""The stream of blueprints of a seed, without end, and what is taken from it.

Draw `i` comes from (seed, i) alone, so streams are the same in every process and on every machine, and nothing is kept
but keys. What is taken is asked of the core first: new, not tested on, worth fusing, fit to judge.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from tritonrl_core.types import Task, TaskFacts, TaskRoom
from tritonrl_plugin_fusion.blueprint import Blueprint
from tritonrl_plugin_fusion.compose import compose
from tritonrl_plugin_fusion.patterns import PATTERNS
from tritonrl_plugin_fusion.rotary import qk_norm_rotary

log = logging.getLogger(__name__)

COMPOSED, ROTARY = "composed", "qk_norm_rotary"
NAMED = (*PATTERNS, ROTARY)
KNOWN = (*NAMED, COMPOSED)
HELD_OUT_SHARE = 8
"""One composed computation in so many belongs to the held-out split, whatever the seed: by its key."""
DRY = 3000
"""After so many draws that gave nothing, there is nothing more to be had."""
PATIENCE = 12
"""After so many draws for each task wanted, the shares of the savings are not waited for any longer."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of the stream. `shapes` is how many sets of sizes one computation of a named pattern may come in
    (0: as many as it takes); `saving` maps lower bounds of the share of traffic saved to weights."""

    count: int
    patterns: tuple[str, ...]
    dtypes: tuple[str, ...]
    operators: tuple[int, int]
    composed: float
    shapes: int
    saving: Mapping[float, float]


@dataclass
class Tally:
    """What was drawn and what became of it."""

    drawn: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        parts = ", ".join(f"{number} {what}" for what, number in self.refused.most_common())
        return f"{self.drawn} drawn; left out: {parts or 'none'}"


def draw(wanted: Wanted, seed: int, number: int) -> Blueprint:
    """Draw `number` of a seed."""
    rng = Random(f"fusion/{seed}/{number}")
    named = [name for name in wanted.patterns if name != COMPOSED]
    if COMPOSED in wanted.patterns and (not named or rng.random() < wanted.composed):
        return Blueprint(COMPOSED, compose(rng, *wanted.operators), wanted.dtypes)
    name = named[number % len(named)]
    design = qk_norm_rotary(rng) if name == ROTARY else PATTERNS[name](rng)
    return Blueprint(name, design, wanted.dtypes)


def take(
    wanted: Wanted, seed: int, split: str, size: str, room: TaskRoom, tally: Tally
) -> Iterator[tuple[Task, Blueprint]]:
    """The first `count` tasks of a split that are new, not tested on, worth fusing and fit, with their blueprints."""
    sieve = _Sieve(wanted, split, room, tally)
    taken = idle = 0
    for number in count():
        if taken == wanted.count or idle >= DRY:
            break
        blueprint = draw(wanted, seed, number)
        tally.drawn += 1
        grade = sieve.pass_on(blueprint)
        idle += 1
        if grade is None:
            continue
        taken, idle = taken + 1, 0
        task = room.statement(blueprint.task(size), blueprint.summary)
        yield replace(task, split=split, grade={"written_operators": blueprint.operators, **grade}), blueprint
    if taken < wanted.count:
        log.warning("fusion: %d of %d tasks: there are no more of these patterns (%s)", taken, wanted.count, tally)


class _Sieve:
    """What was taken so far, by its keys, and what may still be."""

    def __init__(self, wanted: Wanted, split: str, room: TaskRoom, tally: Tally) -> None:
        self._wanted, self._split, self._room, self._tally = wanted, split, room, tally
        self._ids: set[str] = set()
        self._seen: Counter[str] = Counter()
        self._savings = _Shares(wanted.saving, wanted.count)

    def pass_on(self, blueprint: Blueprint) -> dict[str, float] | None:
        """The grade of a blueprint that is taken; None where it is not."""
        refused, facts = self._asked(blueprint)
        if refused or facts is None:
            self._tally.refused[refused] += 1
            return None
        self._ids.add(blueprint.id)
        self._seen.update((blueprint.computation, self._room.computation(blueprint.task("small"))))
        self._savings.add(facts.saving)
        return facts.grade

    def _asked(self, blueprint: Blueprint) -> tuple[str, TaskFacts | None]:
        """Why a blueprint is not taken, or its facts. The cheapest question is asked first."""
        refused = self._known(blueprint) or self._of_the_other_split(blueprint)
        if refused:
            return refused, None
        task = blueprint.task("small")
        if self._seen[self._room.computation(task)] >= self._allowed(blueprint):
            return "the same computation again", None
        if self._room.tested(task):
            return "tested on", None
        facts = self._room.facts(blueprint.task("full"))
        if facts is None:
            return "not traceable", None
        if not self._savings.open(facts.saving, self._tally.drawn):
            return "outside the savings asked for", None
        reason = self._room.unfit(task)
        if reason:
            self._tally.reasons[reason] += 1
            return "unfit", None
        return "", facts

    def _known(self, blueprint: Blueprint) -> str:
        if blueprint.id in self._ids:
            return "the same task again"
        return "the same computation again" if self._seen[blueprint.computation] >= self._allowed(blueprint) else ""

    def _allowed(self, blueprint: Blueprint) -> int:
        if blueprint.pattern == COMPOSED:
            return 1
        return self._wanted.shapes or self._wanted.count

    def _of_the_other_split(self, blueprint: Blueprint) -> str:
        held_out = blueprint.pattern == COMPOSED and int(blueprint.computation[:8], 16) % HELD_OUT_SHARE == 0
        return "" if held_out == (self._split == "held_out") else "of the other split"


class _Shares:
    """How many tasks of each range of savings are still wanted. A range is named by its lower bound."""

    def __init__(self, weights: Mapping[float, float], count: int) -> None:
        total = sum(weights.values())
        self._bounds = sorted(weights)
        self._left = {bound: -(-weights[bound] * count // total) for bound in self._bounds}
        self._count = count

    def open(self, saving: float, drawn: int) -> bool:
        bound = self._bound(saving)
        return bound is not None and (self._left[bound] > 0 or drawn > PATIENCE * self._count)

    def add(self, saving: float) -> None:
        bound = self._bound(saving)
        if bound is not None:
            self._left[bound] -= 1

    def _bound(self, saving: float) -> float | None:
        reached: Sequence[float] = [bound for bound in self._bounds if saving >= bound]
        return reached[-1] if reached else None
