"""Graphs drawn at random: an operator after another, each where its operand's kind and range allow it.

What it draws is defined everywhere and mostly tells something; whether it really does is examined by the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tritonrl_plugin_fusion.frames import FRAMES, SIZES, Frame
from tritonrl_plugin_fusion.graph import Graph, Step
from tritonrl_plugin_fusion.operators import OPERATORS, POOLS, SAME, STAT, TILE, Operator

FRAME_WEIGHTS = {"rows": 5.0, "lookup": 1.0, "product": 4.0, "convolution": 2.0, "planes": 2.0}
LATER = 0.35
"""How often a graph with an earlier value at hand takes it up again."""
SECOND_OUTPUT = 0.08
PARAMETER = 0.4
"""How often a vector is a parameter of the module."""


@dataclass
class _Growing:
    """A graph while it grows: kinds and tags of its values, and its steps."""

    frame: Frame
    head: str
    kinds: list[str]
    tags: list[str]
    steps: list[Step] = field(default_factory=list)

    @property
    def last(self) -> int:
        return len(self.kinds) - 1

    def fits(self, operator: Operator, operand: int) -> bool:
        """Whether an operator may be applied to a value."""
        kind, tag = self.kinds[operand], self.tags[operand]
        takes = operator.takes[0]
        return (takes in (SAME, kind)) and (tag in operator.needs or (tag == "input" and "any" in operator.needs))

    def apply(self, name: str, operands: tuple[int, ...], rng: Random) -> None:
        operator = OPERATORS[name]
        parameters: tuple[bool, ...] = ()
        if operator.side:
            parameters = (operator.side == "vector" and rng.random() < PARAMETER,)
        constants = tuple(rng.choice(choices) for choices in operator.constants)
        kind, tag = self.kinds[operands[0]], self.tags[operands[0]]
        self.steps.append(Step(name, operands, parameters, constants))
        self.kinds.append(kind if operator.gives == SAME else operator.gives)
        self.tags.append(("any" if tag == "input" else tag) if operator.tag == SAME else operator.tag)


def compose(rng: Random, least: int, most: int, frames: tuple[str, ...] = tuple(FRAME_WEIGHTS)) -> Graph:
    """Draw a graph of `least` to `most` operators behind the head. Draws from `rng` and from nothing else."""
    frame = FRAMES[_weighted(rng, {name: FRAME_WEIGHTS[name] for name in frames})]
    head = _weighted(rng, {name: head.weight for name, head in frame.heads.items()})
    count = rng.randint(least, most)
    values = len(frame.heads[head].torch)
    growing = _Growing(frame, head, [TILE] * values, [frame.heads[head].tag] * values)
    while len(growing.steps) < count or growing.tags[-1] == "masked":
        grown = _grow(growing, rng, last=len(growing.steps) >= count - 1)
        if not grown or growing.steps[-1].operator in POOLS or len(growing.steps) > most + 2:
            break
    return Graph(frame.name, head, tuple(growing.steps), _outputs(growing, rng), rng.randrange(SIZES))


def _grow(growing: _Growing, rng: Random, *, last: bool) -> bool:
    """One more operator on the last value; False where none fits there."""
    here = growing.last
    if growing.kinds[here] == STAT and rng.random() < 0.75 and _spread(growing, rng):
        return True
    if growing.kinds[here] == TILE and rng.random() < LATER and _join(growing, rng):
        return True
    before = OPERATORS[growing.steps[-1].operator].kind if growing.steps else ""
    open_to = {
        name: operator.weight
        for name, operator in OPERATORS.items()
        if len(operator.takes) == 1 and growing.fits(operator, here) and _allowed(growing, name, operator, before, last)
    }
    if open_to:
        growing.apply(_weighted(rng, open_to), (here,), rng)
    return bool(open_to)


def _allowed(growing: _Growing, name: str, operator: Operator, before: str, last: bool) -> bool:
    if name in growing.frame.avoid or (name in POOLS and not last) or operator.kind == before:
        return False
    if operator.gives == STAT and not growing.frame.reduces:
        return False
    if operator.side and (operator.side not in growing.frame.shapes or growing.kinds[-1] == STAT):
        return False
    if operator.module and ("{batch_norm}" in operator.module) != bool(growing.frame.batch_norm):
        return False
    return growing.frame.reduces or not ("{axis}" in operator.triton or operator.tag == "masked")


def _spread(growing: _Growing, rng: Random) -> bool:
    """Bring a row's number back to the elements of the row: of the tile that it was made from, mostly."""
    tiles = [number for number, kind in enumerate(growing.kinds) if kind == TILE and growing.tags[number] != "masked"]
    source = tiles[-1] if rng.random() < 0.8 else rng.choice(tiles)
    positive = growing.tags[-1] == "positive"
    names = ["div_stat"] if positive else ["sub_stat", "mul_stat", "add_stat"]
    open_to = {name: OPERATORS[name].weight for name in names if growing.fits(OPERATORS[name], source)}
    if not open_to:
        return False
    growing.apply(_weighted(rng, open_to), (source, growing.last), rng)
    return True


def _join(growing: _Growing, rng: Random) -> bool:
    """Take up an earlier tile again."""
    here = growing.last
    earlier = [
        number for number in range(here)
        if growing.kinds[number] == TILE and growing.tags[number] not in ("masked", "log", "prob")
    ]  # fmt: skip
    if not earlier or growing.tags[here] == "masked" or (growing.steps and len(growing.steps[-1].operands) == 2):
        return False
    names = ("add", "sub", "mul", "maximum")
    open_to = {name: OPERATORS[name].weight for name in names if growing.fits(OPERATORS[name], here)}
    if not open_to:
        return False
    growing.apply(_weighted(rng, open_to), (here, rng.choice(earlier)), rng)
    return True


def _outputs(growing: _Growing, rng: Random) -> tuple[int, ...]:
    """The last value; now and then an earlier one beside it, as a residual stream is kept."""
    here, values = growing.last, len(growing.kinds) - len(growing.steps)
    earlier = [number for number in range(values, here) if growing.tags[number] != "masked"]
    if growing.steps[-1].operator in POOLS or not earlier or rng.random() >= SECOND_OUTPUT:
        return (here,)
    return here, rng.choice(earlier)


def _weighted(rng: Random, weights: dict[str, float]) -> str:
    names = sorted(weights)
    return rng.choices(names, [weights[name] for name in names])[0]
