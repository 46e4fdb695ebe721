"""What the machine does for each operation that has no control flow: constants, shapes, casts, memory, products.

`Operations.carry` is given a frame and an operation and gives the results; reductions and scans run their region on
halves of the data. What is not listed raises `NotCarriedOutError`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.control import Control
from tritonrl_core.bench.machine.frame import PROGRAM, Frame, NotCarriedOutError, TensorDescriptor
from tritonrl_core.bench.machine.functions import ATOMICS, FLOAT_TESTS, FOLDS, FUNCTIONS, INTEGER_TESTS
from tritonrl_core.bench.machine.libdevice import function_for
from tritonrl_core.bench.machine.memory import Memory
from tritonrl_core.bench.machine.text import Function, Operation, Type
from tritonrl_core.bench.machine.values import NARROW, Array


class KernelStopError(Exception):
    """A kernel's own assertion or assumption does not hold."""


Handler = Callable[["Operations", Frame, Operation], Any]


class Operations:
    """The operations of one launch."""

    def __init__(self, functions: dict[str, Function], memory: Memory, grid: tuple[int, int, int]) -> None:
        self.control = Control(functions, self.carry)
        self.memory = memory
        self.grid = grid
        self.libdevice: set[str] = set()
        self._types = next(iter(functions.values())).types
        self._waited = -1

    def type_of(self, slot: int) -> Type:
        return self._types[slot]

    def moves(self, frame: Frame, address: Array, mask: Array | None, *, waits: bool) -> None:
        """Note an access for the estimate of the launch's time. `waits`: what it gives is waited for."""
        traffic = self.memory.traffic
        traffic.access(address, mask, frame.count)
        if waits and self._waited != self.control.turns:
            self._waited = self.control.turns
            traffic.rounds += frame.count

    def carry(self, frame: Frame, operation: Operation) -> tuple[Any, ...]:
        """The results of one operation."""
        name = operation.name
        function = FUNCTIONS.get(name)
        if function is not None:
            result = function(*[frame.get(slot) for slot in operation.operands])
            element = operation.types[0].element
            self.memory.traffic.elements += _lanes(frame, operation.types[0])
            return (values.rounded(result, element) if element in NARROW else result,)
        handler = HANDLERS.get(name)
        if handler is None:
            raise NotCarriedOutError(f"`{name}`")
        result = handler(self, frame, operation)
        return result if isinstance(result, tuple) else () if result is None else (result,)


def _constant(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return constant(operation.text, operation.types[0])


@lru_cache(maxsize=4096)
def constant(text: str, kind: Type) -> Array:
    """The value of `arith.constant`, one entry where all are equal."""
    body = text.removeprefix("arith.constant").strip()
    body = body[6:].rpartition("> :")[0] if body.startswith("dense<") else body.partition(" :")[0]
    if body.startswith('"'):
        raise NotCarriedOutError("a constant written as bytes")
    if body.startswith("["):
        numbers = [_number(part, kind.element) for part in body.replace("[", " ").replace("]", " ").split(",")]
        whole = np.array(numbers, dtype=values.dtype_of(kind.element)).reshape((1, *kind.shape))
    else:
        number = _number(body, kind.element)
        whole = np.full((1,) * (1 + len(kind.shape)), number, dtype=values.dtype_of(kind.element))
    whole.flags.writeable = False
    return whole


def _number(text: str, element: str) -> Any:
    text = text.strip().partition(" ")[0]
    if text in ("true", "false"):
        return text == "true"
    if element in values.INTEGERS or element == "ptr":
        number = int(text, 0)
        bits = values.INTEGERS.get(element, 64)
        return number - (1 << bits) if number >= 1 << (bits - 1) and bits > 1 else number
    if not text.startswith("0x"):
        return float(text)
    bits = int(text, 16)
    if element in ("f64", "f32", "f16"):
        code, whole = {"f64": ("<d", "<Q"), "f32": ("<f", "<I"), "f16": ("<e", "<H")}[element]
        return struct.unpack(code, struct.pack(whole, bits))[0]
    raw = np.array([bits], dtype=values.stored_as(element))
    return values.decode(raw, element)[0]


_INTEGER_ATTRIBUTE = re.compile(r"(\w+) = (-?\d+)")


@lru_cache(maxsize=4096)
def integer(text: str, name: str) -> int:
    """An integer attribute such as `axis = 1 : i32`. Raises `NotCarriedOutError` where there is none."""
    for found, number in _INTEGER_ATTRIBUTE.findall(text):
        if found == name:
            return int(number)
    raise NotCarriedOutError(f"`{text[:60]}` without {name}")


@lru_cache(maxsize=1024)
def _range(text: str) -> Array:
    return np.arange(integer(text, "start"), integer(text, "end"), dtype=np.int32)[None, :]


def _program(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return frame.get(PROGRAM["xyz".index(operation.text.split()[1])])


def _programs(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return np.array([machine.grid["xyz".index(operation.text.split()[1])]], dtype=np.int32)


def _compared(machine: Operations, frame: Frame, operation: Operation) -> Any:
    tests = INTEGER_TESTS if operation.name == "arith.cmpi" else FLOAT_TESTS
    test = tests[operation.text.split(None, 2)[1].rstrip(",")]
    return test(*[frame.get(slot) for slot in operation.operands])


# Shapes. An axis of length 1 stands for any length while all its entries are equal.


def _splat(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    return value.reshape(value.shape[0], *(1,) * len(operation.types[0].shape))


def _same(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return frame.get(operation.operands[0])


def _expanded(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return np.expand_dims(frame.get(operation.operands[0]), integer(operation.text, "axis") + 1)


def full(value: Array, shape: tuple[int, ...]) -> Array:
    """A value with every axis but the programs' at its length."""
    return np.broadcast_to(value, (value.shape[0], *shape))


def _reshaped(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    if value.size == value.shape[0]:
        return value.reshape(value.shape[0], *(1,) * len(operation.types[0].shape))
    source = machine.type_of(operation.operands[0])
    return full(value, source.shape).reshape(value.shape[0], *operation.types[0].shape)


_ORDER = re.compile(r"order = array<i32: ([\d, ]+)>")


def _transposed(machine: Operations, frame: Frame, operation: Operation) -> Any:
    match = _ORDER.search(operation.text)
    if match is None:
        raise NotCarriedOutError("`tt.trans` without an order")
    return np.transpose(frame.get(operation.operands[0]), (0, *(int(axis) + 1 for axis in match[1].split(","))))


def _together(machine: Operations, frame: Frame, operation: Operation) -> Any:
    """`tt.cat` and `tt.join`."""
    shape = machine.type_of(operation.operands[0]).shape
    left, right = (full(frame.get(slot), shape) for slot in operation.operands)
    count = max(left.shape[0], right.shape[0])
    parts = [np.broadcast_to(part, (count, *shape)) for part in (left, right)]
    return np.concatenate(parts, axis=1) if operation.name == "tt.cat" else np.stack(parts, axis=-1)


def _parted(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    return value[..., 0], value[..., -1]


def _unsplat(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value = frame.get(operation.operands[0])
    return value.reshape(value.shape[0])


def _gathered(machine: Operations, frame: Frame, operation: Operation) -> Any:
    source, index = (frame.get(slot) for slot in operation.operands)
    shapes = [machine.type_of(slot).shape for slot in operation.operands]
    count = max(source.shape[0], index.shape[0])
    whole = np.broadcast_to(source, (count, *shapes[0]))
    return np.take_along_axis(whole, np.broadcast_to(index, (count, *shapes[1])), integer(operation.text, "axis") + 1)


def _histogram(machine: Operations, frame: Frame, operation: Operation) -> Any:
    bins = operation.types[0].shape[0]
    value = full(frame.get(operation.operands[0]), machine.type_of(operation.operands[0]).shape)
    masks = [np.broadcast_to(frame.get(slot), value.shape) for slot in operation.operands[1:]]
    rows = []
    for number, row in enumerate(value):
        kept = row[masks[0][number]] if masks else row
        rows.append(np.bincount(kept[(kept >= 0) & (kept < bins)], minlength=bins)[:bins])
    return np.stack(rows).astype(np.int32)


# Casts.


def _cast(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value, target = frame.get(operation.operands[0]), operation.types[0].element
    source = machine.type_of(operation.operands[0]).element
    kept = values.dtype_of(target)
    name = operation.name
    if name in ("arith.truncf", "arith.extf", "tt.fp_to_fp"):
        if target not in NARROW:
            return value.astype(kept)
        return values.rounded(value.astype(np.float32), target)
    if name == "arith.extsi" and source == "i1":
        return -value.astype(kept)
    if name in ("arith.extui", "arith.uitofp", "arith.index_castui") and source != "i1":
        value = values.unsigned(value)
    elif name == "arith.sitofp" and source == "i1":
        value = -value.astype(np.int8)
    elif name == "arith.trunci" and target == "i1":
        return (value & 1) != 0
    elif name in ("arith.fptosi", "arith.fptoui"):
        return values.to_integer(value, target, signed=name == "arith.fptosi")
    result = value.astype(kept)
    return values.rounded(result, target) if target in NARROW else result


def _bits(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value, target = frame.get(operation.operands[0]), operation.types[0].element
    source = machine.type_of(operation.operands[0]).element
    if target == "ptr" or source == "ptr":
        return value.astype(np.int64)
    raw = np.ascontiguousarray(values.encode(value, source))
    return values.decode(raw.view(values.stored_as(target)), target)


def _extern(machine: Operations, frame: Frame, operation: Operation) -> Any:
    match = re.search(r'symbol = "(\w+)"', operation.text)
    symbol = match[1] if match else "?"
    function = function_for(symbol)
    if function is None:
        raise NotCarriedOutError(f"the library function {symbol}")
    machine.libdevice.add(symbol)
    arguments = [frame.get(slot) for slot in operation.operands]
    shape = np.broadcast_shapes(*(argument.shape for argument in arguments))
    tensors = [torch.from_numpy(np.array(np.broadcast_to(argument, shape))) for argument in arguments]
    return function(*tensors).numpy().astype(values.dtype_of(operation.types[0].element))


# Memory.


def _pointer_sum(machine: Operations, frame: Frame, operation: Operation) -> Any:
    pointer, offset = (frame.get(slot) for slot in operation.operands)
    size = values.size_of(operation.types[0].pointee)
    return pointer + (offset.astype(np.int64) if size == 1 else offset.astype(np.int64) * size)


def _lanes(frame: Frame, kind: Type) -> int:
    return frame.count * kind.count


def _load(machine: Operations, frame: Frame, operation: Operation) -> Any:
    parts = [frame.get(slot) for slot in operation.operands]
    kind = machine.type_of(operation.operands[0])
    mask, other = [*parts[1:], None, None][:2]
    machine.moves(frame, parts[0], mask, waits=True)
    return machine.memory.load(parts[0], kind.pointee, mask, other, _lanes(frame, kind))


def _store(machine: Operations, frame: Frame, operation: Operation) -> None:
    parts = [frame.get(slot) for slot in operation.operands]
    kind = machine.type_of(operation.operands[0])
    mask = parts[2] if len(parts) > 2 else None
    machine.moves(frame, parts[0], mask, waits=False)
    machine.memory.store(parts[0], parts[1], kind.pointee, mask, _lanes(frame, kind))


def _atomic(machine: Operations, frame: Frame, operation: Operation) -> Any:
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


def _make_descriptor(machine: Operations, frame: Frame, operation: Operation) -> Any:
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


def _descriptor_load(machine: Operations, frame: Frame, operation: Operation) -> Any:
    descriptor, *offsets = (frame.get(slot) for slot in operation.operands)
    address, mask = _described(frame, descriptor, offsets)
    other = np.full((1,) * address.ndim, np.nan if descriptor.nan_padding else 0,
                    dtype=values.dtype_of(descriptor.element))  # fmt: skip
    kind = operation.types[0]
    machine.moves(frame, address, mask, waits=True)
    found = machine.memory.load(address, descriptor.element, mask, other, _lanes(frame, kind))
    return full(found, descriptor.block).reshape(found.shape[0], *kind.shape)


def _descriptor_store(machine: Operations, frame: Frame, operation: Operation) -> None:
    descriptor, *offsets, source = (frame.get(slot) for slot in operation.operands)
    address, mask = _described(frame, descriptor, offsets)
    kind = machine.type_of(operation.operands[-1])
    whole = full(source, kind.shape).reshape(source.shape[0], *descriptor.block)
    machine.moves(frame, address, mask, waits=False)
    machine.memory.store(address, whole, descriptor.element, mask, _lanes(frame, kind))


# Products, reductions and scans.


def _dot(machine: Operations, frame: Frame, operation: Operation) -> Any:
    kinds = [machine.type_of(slot) for slot in operation.operands]
    a, b, c = (full(frame.get(slot), kind.shape) for slot, kind in zip(operation.operands, kinds, strict=True))
    element = kinds[0].element
    precision = _PRECISION.search(operation.text) if element == "f32" else None
    name, passes = _PASSES.get(precision[1], ("fp32", 1)) if precision else (_arithmetic(element), 1)
    work = 2.0 * passes * frame.count * kinds[0].count * kinds[1].shape[-1]
    machine.memory.traffic.tile_work += work * kinds[2].count
    machine.memory.traffic.flops[name] = machine.memory.traffic.flops.get(name, 0.0) + work
    if element in values.INTEGERS:
        return (np.matmul(a.astype(np.int32), b.astype(np.int32)) + c).astype(values.dtype_of(kinds[2].element))
    wide = np.float64 if element == "f64" else np.float32
    a, b = a.astype(wide, copy=False), b.astype(wide, copy=False)
    if name == "tf32" and passes == 1:
        a, b = values.tf32(a), values.tf32(b)
    multiply = _in_three if precision and precision[1] == "bf16x3" else np.matmul
    product = multiply(a, b) + c
    target = operation.types[0].element
    return values.rounded(product, target) if target in NARROW else product.astype(values.dtype_of(target), copy=False)


_PRECISION = re.compile(r"inputPrecision = (\w+)")
_PASSES = {"tf32": ("tf32", 1), "tf32x3": ("tf32", 3), "bf16x3": ("fp16", 3), "bf16x6": ("fp16", 6)}
"""By a float32 product's precision: the arithmetic that it runs on, and how many products of parts it takes. All three
or six parts together hold float32's digits, but for three of bfloat16's."""


def _in_three(a: Array, b: Array) -> Array:
    """A product of float32 matrices as their upper and lower halves in bfloat16 give it, without that of the lower."""
    upper, other = values.rounded(a, "bf16"), values.rounded(b, "bf16")
    lower, rest = values.rounded(a - upper, "bf16"), values.rounded(b - other, "bf16")
    return np.matmul(upper, other) + np.matmul(upper, rest) + np.matmul(lower, other)


def _arithmetic(element: str) -> str:
    """The kind of arithmetic that a matrix product runs on, as `bench.targets` names them."""
    if element in ("f32", "f64"):
        return "fp64" if element == "f64" else "fp32"
    return "fp16" if element in ("f16", "bf16") else "fp8"


def _combined(machine: Operations, frame: Frame, operation: Operation, left: list[Array], right: list[Array]) -> Any:
    """The region of a reduction or scan, on whole arrays."""
    block = operation.regions[0][0]
    inner = Frame(frame.count, frame)
    for slot, value in zip(block.arguments, [*left, *right], strict=True):
        inner.values[slot] = value
    return list(machine.control.block(inner, block))


def _only_operation(operation: Operation) -> str:
    """The name of a region's one operation on its two arguments; "" where it has more."""
    block = operation.regions[0][0]
    if len(block.operations) == 2 and set(block.operations[0].operands) == set(block.arguments):
        return block.operations[0].name
    return ""


def _reduced(machine: Operations, frame: Frame, operation: Operation) -> Any:
    axis = integer(operation.text, "axis") + 1
    parts = []
    for slot in operation.operands:
        value, shape = frame.get(slot), machine.type_of(slot).shape
        parts.append(np.moveaxis(full(value, shape), axis, 0))
    fold = FOLDS.get(_only_operation(operation))
    if fold is not None:
        return (fold(parts[0], axis=0),)
    while len(parts[0]) > 1:
        # Neighbours, so that the order is kept where it matters.
        parts = _combined(machine, frame, operation, [p[0::2] for p in parts], [p[1::2] for p in parts])
    return tuple(part[0] for part in parts)


def _scanned(machine: Operations, frame: Frame, operation: Operation) -> Any:
    axis = integer(operation.text, "axis") + 1
    backwards = "reverse = true" in operation.text
    parts = []
    for slot in operation.operands:
        part = np.moveaxis(full(frame.get(slot), machine.type_of(slot).shape), axis, 0)
        parts.append(part[::-1] if backwards else part)
    distance, length = 1, len(parts[0])
    while distance < length:
        new = _combined(machine, frame, operation, [p[:-distance] for p in parts], [p[distance:] for p in parts])
        parts = [np.concatenate([np.broadcast_to(old[:distance], (distance, *value.shape[1:])), value])
                 for old, value in zip(parts, new, strict=True)]  # fmt: skip
        distance *= 2
    return tuple(np.moveaxis(part[::-1] if backwards else part, 0, axis) for part in parts)


def _extended(machine: Operations, frame: Frame, operation: Operation) -> Any:
    """`arith.mului_extended`: the lower and the upper half of a product."""
    a, b = (frame.get(slot) for slot in operation.operands)
    if operation.name == "arith.mulsi_extended":
        wide = a.astype(np.int64) * b.astype(np.int64)
        return (wide & 0xFFFFFFFF).astype(np.uint32).view(np.int32), (wide >> 32).astype(np.int32)
    return a * b, FUNCTIONS["tt.mulhiui"](a, b)


def _holds(machine: Operations, frame: Frame, operation: Operation) -> None:
    if not frame.get(operation.operands[0]).all():
        what = "assumption" if operation.name == "llvm.intr.assume" else "assertion"
        raise KernelStopError(f"an {what} of the kernel does not hold")


def _nothing(machine: Operations, frame: Frame, operation: Operation) -> None:
    return None


def _any_value(machine: Operations, frame: Frame, operation: Operation) -> Any:
    kind = operation.types[0]
    return np.full((1,) * (1 + len(kind.shape)), values.poison(kind.element), dtype=values.dtype_of(kind.element))


def _refused(what: str) -> Handler:
    def refuse(machine: Operations, frame: Frame, operation: Operation) -> None:
        raise NotCarriedOutError(what)

    return refuse


HANDLERS: Mapping[str, Handler] = {
    "arith.constant": _constant, "tt.make_range": lambda m, f, operation: _range(operation.text),
    "tt.get_program_id": _program, "tt.get_num_programs": _programs, "arith.cmpi": _compared, "arith.cmpf": _compared,
    "tt.splat": _splat, "tt.broadcast": _same, "tt.expand_dims": _expanded, "tt.reshape": _reshaped,
    "tt.trans": _transposed, "tt.cat": _together, "tt.join": _together, "tt.split": _parted, "tt.unsplat": _unsplat,
    "tt.gather": _gathered, "tt.histogram": _histogram,
    **dict.fromkeys(("arith.extf", "arith.truncf", "arith.extsi", "arith.extui", "arith.trunci", "arith.sitofp",
                     "arith.uitofp", "arith.fptosi", "arith.fptoui", "tt.fp_to_fp", "arith.index_cast",
                     "arith.index_castui"), _cast),
    **dict.fromkeys(("arith.bitcast", "tt.bitcast", "tt.int_to_ptr", "tt.ptr_to_int"), _bits),
    "tt.extern_elementwise": _extern, "tt.addptr": _pointer_sum, "tt.load": _load, "tt.store": _store,
    "tt.atomic_rmw": _atomic, "tt.atomic_cas": _atomic, "tt.make_tensor_descriptor": _make_descriptor,
    "tt.descriptor_load": _descriptor_load, "tt.descriptor_store": _descriptor_store, "tt.dot": _dot,
    "tt.reduce": _reduced, "tt.scan": _scanned, "arith.mului_extended": _extended, "arith.mulsi_extended": _extended,
    "llvm.intr.assume": _holds, "tt.assert": _holds, "ub.poison": _any_value,
    **dict.fromkeys(("tt.print", "ttg.barrier", "gpu.barrier", "ttg.local_barrier"), _nothing),
    "tt.elementwise_inline_asm": _refused("inline assembly"),
}  # fmt: skip
