"""How values go through a function of TTIR beside its operations: what regions and branches hand on, and what decides.

Reads the tree that `ttir_text` makes of a text. What the operations mean is `ttir`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from tritonrl_core.bench.plan.ttir_text import Block, Function, Operation, UnknownTextError

Pairs = list[tuple[int, int]]


@dataclass
class Values:
    """A function laid flat: its operations in order, each with the values that decide whether it is carried out."""

    operations: list[tuple[Operation, tuple[int, ...]]] = field(default_factory=list)
    moves: Pairs = field(default_factory=list)
    """Pairs (to, from): values handed to block arguments, loop variables and results of regions."""
    chosen: Pairs = field(default_factory=list)
    """Pairs (value, condition): which of several values it is, or how often it was changed, a condition decides."""


def values_of(function: Function) -> Values:
    """All of a function. Raises `UnknownTextError` for a branch to nowhere and for a loop without a condition."""
    values = Values()
    _blocks(function.blocks, (), values)
    return values


def _blocks(blocks: Sequence[Block], conditions: tuple[int, ...], values: Values) -> None:
    """Blocks lead only forwards: what was branched on before decides what comes after."""
    arguments = {block.label: block.arguments for block in blocks}
    for block in blocks:
        values.chosen += product(block.arguments, conditions)
        for operation in block.operations:
            values.operations.append((operation, conditions))
            for label, handed in operation.targets:
                if label not in arguments:
                    raise UnknownTextError(f"a branch to {label[:40]}")
                values.moves += zip(arguments[label], handed, strict=False)
            if operation.name == "cf.cond_br":
                # It stands for all before it, which decide whether it is asked: else conditions would pile up.
                values.chosen += product(operation.operands, conditions)
                conditions = operation.operands
            if operation.regions:
                _regions(operation, conditions, values)


def _regions(operation: Operation, conditions: tuple[int, ...], values: Values) -> None:
    """The regions of an operation: what goes in, what comes out, and what decides how often."""
    entries = [region[0].arguments for region in operation.regions]
    ends = [region[-1].operations[-1:] for region in operation.regions]
    given = [tuple(end.operands) for part in ends for end in part if end.name.endswith((".yield", ".return"))]
    deciding: tuple[int, ...] = ()
    match operation.name:
        case "scf.if":
            deciding = operation.operands[:1]
            _hand([operation.results], given, values)
        case "scf.for":
            deciding, first = operation.operands[:3], operation.operands[3:]
            _hand([operation.results, entries[0][1:]], [first, *given], values)
            values.chosen += product(entries[0], deciding)
        case "scf.while":
            deciding, passed = _condition(ends[0])
            _hand([entries[0]], [operation.operands, *given], values)
            _hand([operation.results, *entries[1:]], [passed], values)
            values.chosen += product(entries[0], deciding)
        case _:  # of a reduction, a scan: each argument is an element or what was made of elements before
            values.moves += product((slot for entry in entries for slot in entry), operation.operands)
            _hand([operation.results, *entries], given, values)
    values.chosen += product(operation.results, deciding)
    for region in operation.regions:
        _blocks(region, conditions + deciding, values)


def _condition(end: Sequence[Operation]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a loop's first region ends with: whether it goes on, and the values that it hands on."""
    if not end or end[0].name != "scf.condition":
        raise UnknownTextError("a loop without a condition")
    return end[0].operands[:1], end[0].operands[1:]


def _hand(to: Iterable[Sequence[int]], given: Iterable[Sequence[int]], values: Values) -> None:
    for targets, sources in product(to, list(given)):
        values.moves += zip(targets, sources, strict=False)
