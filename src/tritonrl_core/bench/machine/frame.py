"""Values of programs that run together, and of those among them that took one way at a branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tritonrl_core.bench.machine.values import Array
from tritonrl_core.bench.plan.ttir_text import Type


class NotCarriedOutError(Exception):
    """Something that is right on a GPU and that the machine does not have."""

PROGRAM = (-1, -2, -3)
"""Slots of a program's place in the grid, by axis."""


@dataclass(frozen=True, slots=True)
class TensorDescriptor:
    """A tensor descriptor: address, sizes and strides (in elements) for each program, and what it loads."""

    base: Array
    shape: tuple[Array, ...]
    strides: tuple[Array, ...]
    block: tuple[int, ...]
    element: str
    nan_padding: bool = False

    def taken(self, select: Array) -> TensorDescriptor:
        return TensorDescriptor(
            taken(self.base, select), tuple(taken(part, select) for part in self.shape),
            tuple(taken(part, select) for part in self.strides), self.block, self.element, self.nan_padding,
        )  # fmt: skip


class Frame:
    """Values by slot. A frame inside another sees the outer one's values for the programs that it selects."""

    __slots__ = ("count", "parent", "select", "values")

    def __init__(self, count: int, parent: Frame | None = None, select: Array | None = None) -> None:
        self.count = count
        self.parent = parent
        self.select = select
        self.values: dict[int, Any] = {}

    def get(self, slot: int) -> Any:
        value = self.values.get(slot)
        if value is None:
            if self.parent is None:
                raise KeyError(slot)
            value = self.parent.get(slot)
            if self.select is not None:
                value = taken(value, self.select)
            self.values[slot] = value
        return value

    def lanes(self, kind: Type) -> int:
        """How many elements a value of this type has, in all programs together."""
        return self.count * kind.count

    def chosen(self, select: Array) -> Frame:
        """A frame for some of the programs."""
        return Frame(len(select), self, select)


def taken(value: Any, select: Array) -> Any:
    """A value for some of the programs."""
    if isinstance(value, TensorDescriptor):
        return value.taken(select)
    return value if value.shape[0] == 1 else value[select]


def merged(count: int, parts: list[tuple[Array, Any]]) -> Any:
    """One value from those of disjoint selections that together are all programs."""
    if any(isinstance(value, TensorDescriptor) for _, value in parts):
        raise NotCarriedOutError("a tensor descriptor that differs between programs")
    dims = np.broadcast_shapes(*(value.shape[1:] for _, value in parts))
    whole = np.empty((count, *dims), dtype=parts[0][1].dtype)
    for select, value in parts:
        whole[select] = value
    return whole


def updated(whole: Any, count: int, select: Array, value: Any) -> Any:
    """A value with that of some of the programs replaced."""
    if isinstance(whole, TensorDescriptor):
        raise NotCarriedOutError("a tensor descriptor that differs between programs")
    dims = np.broadcast_shapes(whole.shape[1:], value.shape[1:])
    new = np.array(np.broadcast_to(whole, (count, *dims)))
    new[select] = value
    return new
