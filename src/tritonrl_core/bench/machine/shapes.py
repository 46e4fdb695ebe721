"""What the machine does with shapes. An axis of length 1 stands for any length while all its entries are equal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonrl_core.bench.machine.attributes import integer
from tritonrl_core.bench.machine.frame import Frame, NotCarriedOutError
from tritonrl_core.bench.machine.values import Array
from tritonrl_core.bench.plan.ttir_text import Operation

if TYPE_CHECKING:
    from tritonrl_core.bench.machine.operations import Operations


def splat(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    return value.reshape(value.shape[0], *(1,) * len(operation.types[0].shape))


def same(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return frame.get(operation.operands[0])


def expanded(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return np.expand_dims(frame.get(operation.operands[0]), integer(operation.text, "axis") + 1)


def full(value: Array, shape: tuple[int, ...]) -> Array:
    """A value with every axis but the programs' at its length."""
    return np.broadcast_to(value, (value.shape[0], *shape))


def reshaped(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    if value.size == value.shape[0]:
        return value.reshape(value.shape[0], *(1,) * len(operation.types[0].shape))
    source = machine.type_of(operation.operands[0])
    return full(value, source.shape).reshape(value.shape[0], *operation.types[0].shape)


_ORDER = re.compile(r"order = array<i32: ([\d, ]+)>")


def transposed(machine: Operations, frame: Frame, operation: Operation) -> Any:
    match = _ORDER.search(operation.text)
    if match is None:
        raise NotCarriedOutError("`tt.trans` without an order")
    return np.transpose(frame.get(operation.operands[0]), (0, *(int(axis) + 1 for axis in match[1].split(","))))


def together(machine: Operations, frame: Frame, operation: Operation) -> Any:
    """`tt.cat` and `tt.join`."""
    shape = machine.type_of(operation.operands[0]).shape
    left, right = (full(frame.get(slot), shape) for slot in operation.operands)
    count = max(left.shape[0], right.shape[0])
    parts = [np.broadcast_to(part, (count, *shape)) for part in (left, right)]
    return np.concatenate(parts, axis=1) if operation.name == "tt.cat" else np.stack(parts, axis=-1)


def parted(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    return value[..., 0], value[..., -1]


def unsplat(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    return value.reshape(value.shape[0])


def gathered(machine: Operations, frame: Frame, operation: Operation) -> Any:
    source, index = (frame.get(slot) for slot in operation.operands)
    shapes = [machine.type_of(slot).shape for slot in operation.operands]
    count = max(source.shape[0], index.shape[0])
    whole = np.broadcast_to(source, (count, *shapes[0]))
    return np.take_along_axis(whole, np.broadcast_to(index, (count, *shapes[1])), integer(operation.text, "axis") + 1)


def histogram(machine: Operations, frame: Frame, operation: Operation) -> Any:
    bins = operation.types[0].shape[0]
    value = full(frame.get(operation.operands[0]), machine.type_of(operation.operands[0]).shape)
    masks = [np.broadcast_to(frame.get(slot), value.shape) for slot in operation.operands[1:]]
    rows = []
    for number, row in enumerate(value):
        kept = row[masks[0][number]] if masks else row
        rows.append(np.bincount(kept[(kept >= 0) & (kept < bins)], minlength=bins)[:bins])
    return np.stack(rows).astype(np.int32)
