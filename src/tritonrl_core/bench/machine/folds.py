"""What the machine does with many numbers to give fewer: products of matrices, reductions, and scans.

A reduction or a scan runs its region on halves of the data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.attributes import integer
from tritonrl_core.bench.machine.frame import Frame
from tritonrl_core.bench.machine.functions import FOLDS
from tritonrl_core.bench.machine.shapes import full
from tritonrl_core.bench.machine.values import NARROW, Array
from tritonrl_core.bench.plan.ttir_text import Operation

if TYPE_CHECKING:
    from tritonrl_core.bench.machine.operations import Operations


def dot(machine: Operations, frame: Frame, operation: Operation) -> Any:
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
    product: Array = np.matmul(upper, other) + np.matmul(upper, rest) + np.matmul(lower, other)
    return product


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


def reduced(machine: Operations, frame: Frame, operation: Operation) -> Any:
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


def scanned(machine: Operations, frame: Frame, operation: Operation) -> Any:
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
