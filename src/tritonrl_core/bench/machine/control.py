"""Control flow of the machine: blocks, branches, loops and calls, for many programs at once.

Programs that take different ways are carried out one group after the other, and come together again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tritonrl_core.bench.machine.frame import PROGRAM, Frame, merged, taken, updated
from tritonrl_core.bench.machine.values import Array
from tritonrl_core.bench.plan.ttir_text import Block, Function, Operation, UnknownTextError, called

Carry = Callable[[Frame, Operation], tuple[Any, ...]]
"""Carries out one operation that has no control flow of its own."""

_ENDS = frozenset(["scf.yield", "tt.reduce.return", "tt.scan.return", "tt.return", "scf.condition"])


class Control:
    """Walks a module's functions. `carry` does all that is no control flow."""

    def __init__(self, functions: dict[str, Function], carry: Carry) -> None:
        self._functions = functions
        self._carry = carry
        self.turns = 0
        """How many blocks were entered so far."""

    def function(self, name: str, frame: Frame) -> tuple[Any, ...]:
        """Run a function whose arguments are in the frame; gives its results."""
        blocks = self._functions[name].blocks
        return self._blocks(frame, {block.label: block for block in blocks}, blocks[0])

    def block(self, frame: Frame, block: Block) -> tuple[Any, ...]:
        """Run a region's one block; gives what it yields."""
        self.turns += 1
        for operation in block.operations:
            if operation.name in _ENDS:
                return tuple(frame.get(slot) for slot in operation.operands)
            self._one(frame, operation)
        return ()

    def _one(self, frame: Frame, operation: Operation) -> None:
        name = operation.name
        if name == "scf.for":
            results = self._for(frame, operation)
        elif name == "scf.if":
            results = self._if(frame, operation)
        elif name == "scf.while":
            results = self._while(frame, operation)
        elif name == "tt.call":
            results = self._call(frame, operation)
        else:
            results = self._carry(frame, operation)
        for slot, value in zip(operation.results, results, strict=True):
            frame.values[slot] = value

    def _blocks(self, frame: Frame, blocks: dict[str, Block], block: Block) -> tuple[Any, ...]:
        """Blocks of a function, which only lead forwards, from one of them to the return."""
        while True:
            for operation in block.operations:
                if operation.name == "tt.return":
                    return tuple(frame.get(slot) for slot in operation.operands)
                if operation.targets:
                    break
                self._one(frame, operation)
            else:
                raise UnknownTextError(f"block {block.label} leads nowhere")
            ways = operation.targets
            if len(ways) == 1:
                block = self._enter(frame, blocks, ways[0])
                continue
            condition = np.broadcast_to(frame.get(operation.operands[0]), (frame.count,))
            if condition.all() or not condition.any():
                block = self._enter(frame, blocks, ways[0 if condition[0] else 1])
                continue
            parts = []
            for way, select in zip(ways, (np.nonzero(condition)[0], np.nonzero(~condition)[0]), strict=True):
                inner = frame.chosen(select)
                parts.append((select, self._blocks(inner, blocks, self._enter(inner, blocks, way))))
            columns = zip(*(values for _, values in parts), strict=True)
            selects = [select for select, _ in parts]
            return tuple(merged(frame.count, list(zip(selects, column, strict=True))) for column in columns)

    def _enter(self, frame: Frame, blocks: dict[str, Block], way: tuple[str, tuple[int, ...]]) -> Block:
        block = blocks[way[0]]
        for slot, value in zip(block.arguments, [frame.get(slot) for slot in way[1]], strict=True):
            frame.values[slot] = value
        return block

    def _call(self, frame: Frame, operation: Operation) -> tuple[Any, ...]:
        name = called(operation)
        callee = self._functions[name]
        inner = Frame(frame.count)
        for slot in PROGRAM:
            inner.values[slot] = frame.get(slot)
        for slot, operand in zip(callee.arguments, operation.operands, strict=True):
            inner.values[slot] = frame.get(operand)
        return self.function(name, inner)

    def _if(self, frame: Frame, operation: Operation) -> tuple[Any, ...]:
        condition = np.broadcast_to(frame.get(operation.operands[0]), (frame.count,))
        regions = operation.regions
        if condition.all() or not condition.any():
            region = regions[0] if condition[0] else regions[1] if len(regions) > 1 else None
            return () if region is None else self.block(Frame(frame.count, frame), region[0])
        parts = []
        for region, select in zip(regions, (np.nonzero(condition)[0], np.nonzero(~condition)[0]), strict=False):
            parts.append((select, self.block(frame.chosen(select), region[0])))
        if not operation.results:
            return ()
        return tuple(
            merged(frame.count, [(select, values[number]) for select, values in parts])
            for number in range(len(operation.results))
        )

    def _for(self, frame: Frame, operation: Operation) -> tuple[Any, ...]:
        first, last, step = (frame.get(slot) for slot in operation.operands[:3])
        carried = [frame.get(slot) for slot in operation.operands[3:]]
        block = operation.regions[0][0]
        if " unsigned " in operation.text:
            trips = _trips(first.view(f"u{first.itemsize}"), last.view(f"u{last.itemsize}"), step)
        else:
            trips = _trips(first, last, step)
        index = first.copy()
        if (trips == trips[0]).all():
            inner = Frame(frame.count, frame)
            for _ in range(int(trips[0])):
                carried = self._turn(inner, block, index, carried)
                index = index + step
            return tuple(carried)
        trips = np.broadcast_to(trips, (frame.count,))
        for turn in range(int(trips.max())):
            carried = self._some(frame, block, index, carried, np.nonzero(trips > turn)[0])
            index = index + step
        return tuple(carried)

    def _turn(self, inner: Frame, block: Block, index: Array, carried: list[Any]) -> list[Any]:
        inner.values.clear()
        for slot, value in zip(block.arguments, [index, *carried], strict=True):
            inner.values[slot] = value
        return list(self.block(inner, block))

    def _some(self, frame: Frame, block: Block, index: Array, carried: list[Any], select: Array) -> list[Any]:
        """One turn of a loop for the programs that are still in it."""
        if len(select) == frame.count:
            return self._turn(Frame(frame.count, frame), block, index, carried)
        inner = frame.chosen(select)
        new = self._turn(inner, block, *_taken(index, carried, select))
        return [updated(old, frame.count, select, value) for old, value in zip(carried, new, strict=True)]

    def _while(self, frame: Frame, operation: Operation) -> tuple[Any, ...]:
        before, after = (region[0] for region in operation.regions)
        carried = [frame.get(slot) for slot in operation.operands]
        results: list[Any] = []
        select = np.arange(frame.count)
        while True:
            inner = frame.chosen(select) if len(select) < frame.count else Frame(frame.count, frame)
            for slot, value in zip(before.arguments, carried, strict=True):
                inner.values[slot] = value
            condition, *passed = self.block(inner, before)
            going = np.broadcast_to(condition, (inner.count,))
            results = (
                [updated(old, frame.count, select, value) for old, value in zip(results, passed, strict=True)]
                if results else list(passed)
            )  # fmt: skip
            if not going.any():
                return tuple(results)
            stay = np.nonzero(going)[0]
            if len(stay) < inner.count:
                inner, select = inner.chosen(stay), select[stay]
                passed = _taken(np.zeros(1), passed, stay)[1]
            for slot, value in zip(after.arguments, passed, strict=True):
                inner.values[slot] = value
            carried = list(self.block(inner, after))


def _taken(index: Array, carried: list[Any], select: Array) -> tuple[Array, list[Any]]:
    return taken(index, select), [taken(value, select) for value in carried]


def _trips(first: Array, last: Array, step: Array) -> Array:
    wide = [part.astype(np.int64) for part in (first, last, step)]
    turns: Array = np.maximum(0, -((wide[0] - wide[1]) // np.maximum(wide[2], 1)))
    return turns
