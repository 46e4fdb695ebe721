"""What the machine does with memory: addresses, loads, stores, atomic changes, and the blocks of descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.frame import Frame, TensorDescriptor
from tritonrl_core.bench.machine.functions import ATOMICS
from tritonrl_core.bench.machine.shapes import full
from tritonrl_core.bench.machine.values import NARROW, Array
from tritonrl_core.bench.plan.ttir_text import Operation

if TYPE_CHECKING:
    from tritonrl_core.bench.machine.operations import Operations


def pointer_sum(machine: Operations, frame: Frame, operation: Operation) -> Any:
    pointer, offset = (frame.get(slot) for slot in operation.operands)
    size = values.size_of(operation.types[0].pointee)
    return pointer + (offset.astype(np.int64) if size == 1 else offset.astype(np.int64) * size)


def load(machine: Operations, frame: Frame, operation: Operation) -> Any:
    parts = [frame.get(slot) for slot in operation.operands]
    kind = machine.type_of(operation.operands[0])
    mask, other = [*parts[1:], None, None][:2]
    machine.moves(frame, parts[0], mask, waits=True)
    return machine.memory.load(parts[0], kind.pointee, mask, other, frame.lanes(kind))


def store(machine: Operations, frame: Frame, operation: Operation) -> None:
    parts = [frame.get(slot) for slot in operation.operands]
    kind = machine.type_of(operation.operands[0])
    mask = parts[2] if len(parts) > 2 else None
    machine.moves(frame, parts[0], mask, waits=False)
    machine.memory.store(parts[0], parts[1], kind.pointee, mask, frame.lanes(kind))


def atomic(machine: Operations, frame: Frame, operation: Operation) -> Any:
    kind = machine.type_of(operation.operands[0])
    shape = (frame.count, *kind.shape)
    parts = [np.broadcast_to(frame.get(slot), shape) for slot in operation.operands]
    machine.moves(frame, parts[0], None, waits=True)
    if operation.name == "tt.atomic_cas":
        every = np.ones(shape, dtype=bool)

        def exchanged(old: Array, wanted: Array, new: Array) -> Array:
            return np.where(old == wanted, new, old)

        return machine.memory.atomic(parts[0], kind.pointee, every, parts[1:], exchanged)
    change = ATOMICS[operation.text.split(None, 2)[1].rstrip(",")]

    def changed(old: Array, value: Array) -> Array:
        new = change(old, value)
        return values.rounded(new, kind.pointee) if kind.pointee in NARROW else new

    mask = parts[2] if len(parts) > 2 else np.ones(shape, dtype=bool)
    return machine.memory.atomic(parts[0], kind.pointee, mask, parts[1:2], changed)


def make_descriptor(machine: Operations, frame: Frame, operation: Operation) -> Any:
    base, *sizes = (frame.get(slot) for slot in operation.operands)
    rank, kind = len(sizes) // 2, operation.types[0]
    nan = "padding = 2" in operation.text or "PAD_NAN" in operation.text or "padding = nan" in operation.text
    return TensorDescriptor(base, tuple(sizes[:rank]), tuple(sizes[rank:]), kind.shape, kind.pointee, nan)


def _described(frame: Frame, descriptor: TensorDescriptor, offsets: list[Array]) -> tuple[Array, Array]:
    """Addresses and mask of a descriptor's block at these offsets."""
    rank = len(descriptor.block)
    address: Any = descriptor.base.reshape(-1, *(1,) * rank)
    mask: Any = np.ones((1,) * (rank + 1), dtype=bool)
    size = values.size_of(descriptor.element)
    for axis, (offset, length) in enumerate(zip(offsets, descriptor.block, strict=True)):
        steps = np.arange(length, dtype=np.int64).reshape(1, *(-1 if a == axis else 1 for a in range(rank)))
        index = offset.astype(np.int64).reshape(-1, *(1,) * rank) + steps
        address = address + index * descriptor.strides[axis].astype(np.int64).reshape(-1, *(1,) * rank) * size
        mask = mask & (index >= 0) & (index < descriptor.shape[axis].reshape(-1, *(1,) * rank))
    return address, mask


def descriptor_load(machine: Operations, frame: Frame, operation: Operation) -> Any:
    descriptor, *offsets = (frame.get(slot) for slot in operation.operands)
    address, mask = _described(frame, descriptor, offsets)
    other = np.full((1,) * address.ndim, np.nan if descriptor.nan_padding else 0,
                    dtype=values.dtype_of(descriptor.element))  # fmt: skip
    kind = operation.types[0]
    machine.moves(frame, address, mask, waits=True)
    found = machine.memory.load(address, descriptor.element, mask, other, frame.lanes(kind))
    return full(found, descriptor.block).reshape(found.shape[0], *kind.shape)


def descriptor_store(machine: Operations, frame: Frame, operation: Operation) -> None:
    descriptor, *offsets, source = (frame.get(slot) for slot in operation.operands)
    address, mask = _described(frame, descriptor, offsets)
    kind = machine.type_of(operation.operands[-1])
    whole = full(source, kind.shape).reshape(source.shape[0], *descriptor.block)
    machine.moves(frame, address, mask, waits=False)
    machine.memory.store(address, whole, descriptor.element, mask, frame.lanes(kind))
