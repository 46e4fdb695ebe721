"""One launch of a kernel on the machine: arguments into slots, programs in batches, results in the buffers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.frame import PROGRAM, Frame, NotCarriedOutError, TensorDescriptor
from tritonrl_core.bench.machine.memory import Memory, OutOfBoundsError, Segment, Traffic
from tritonrl_core.bench.machine.operations import KernelStopError, Operations
from tritonrl_core.bench.machine.values import UnknownElementError
from tritonrl_core.bench.plan.schema import Descriptor, Kernel, LaunchArg, TensorRef
from tritonrl_core.bench.plan.ttir import kernel_flow
from tritonrl_core.bench.plan.ttir_text import Block, Function, Operation, UnknownTextError, read

BATCH = 1 << 17
"""Elements of the largest tensor, over all programs that run together: what a core's cache holds."""

Find = Callable[[int], Segment]
"""A buffer's segment by its number in the plan."""


@dataclass(frozen=True)
class Done:
    """What a launch moved, and the library functions that stood in for a vendor's."""

    traffic: Traffic
    libdevice: frozenset[str]


def run(
    kernel: Kernel, grid: tuple[int, int, int], args: Sequence[LaunchArg], find: Find, *, backwards: bool = False
) -> Done:
    """Carry out a launch. With `backwards` later programs come first, where none can wait for another.

    Raises `NotCarriedOutError`, `UnknownTextError`, `KernelStopError` and `OutOfBoundsError`.
    """
    functions = read(kernel.ttir)
    function = functions.get(kernel.name)
    if function is None:
        raise UnknownTextError(f"kernel {kernel.name} is not in its text")
    memory = Memory(_segments(args, find), kernel.name)
    operations = Operations(functions, memory, grid)
    arguments = _arguments(function, kernel, args, find)
    for places in _batches(functions, grid, backwards, apart=_shares(kernel, args)):
        frame = Frame(len(places[0]))
        for slot, place in zip(PROGRAM, places, strict=True):
            frame.values[slot] = place
        frame.values.update(arguments)
        operations.control.function(kernel.name, frame)
    memory.traffic.settle(memory.segments)
    return Done(memory.traffic, frozenset(operations.libdevice))


def _segments(args: Sequence[LaunchArg], find: Find) -> list[Segment]:
    refs = [arg.base if isinstance(arg, Descriptor) else arg for arg in args if isinstance(arg, TensorRef | Descriptor)]
    return [find(number) for number in dict.fromkeys(ref.buffer for ref in refs)]


def _arguments(function: Function, kernel: Kernel, args: Sequence[LaunchArg], find: Find) -> Mapping[int, Any]:
    """The kernel's parameters as one entry each, for all programs."""
    slots = list(zip(function.arguments, function.argument_types, strict=True))
    found: dict[int, Any] = {}
    for param, arg in zip(kernel.params, args, strict=True):
        if not slots:
            raise UnknownTextError(f"kernel {kernel.name} has fewer parameters than arguments")
        slot, kind = slots.pop(0)
        if isinstance(arg, Descriptor):
            found[slot] = _descriptor(arg, kind.pointee, find)
            for size in (*arg.shape, *arg.strides):
                number, of = slots.pop(0)
                found[number] = np.array([size], dtype=values.dtype_of(of.element))
        elif isinstance(arg, TensorRef):
            found[slot] = np.array([find(arg.buffer).low + arg.byte_offset], dtype=np.int64)
        else:
            found[slot] = _scalar(arg, kind.element, param.type)
    return found


def _descriptor(arg: Descriptor, element: str, find: Find) -> TensorDescriptor:
    base = np.array([find(arg.base.buffer).low + arg.base.byte_offset], dtype=np.int64)
    sizes, strides = (tuple(np.array([n], dtype=np.int64) for n in part) for part in (arg.shape, arg.strides))
    return TensorDescriptor(base, sizes, strides, arg.block_shape, element, arg.padding == "nan")


def _scalar(value: int | float, element: str, declared: str) -> Any:
    """A number as the kernel takes it: modulo two to the width, or rounded."""
    if element in values.INTEGERS:
        if element == "i1":
            return np.array([bool(value)])
        whole = np.array([int(value) & (1 << values.INTEGERS[element]) - 1], dtype=np.uint64)
        return whole.astype(values.UNSIGNED[np.dtype(values.dtype_of(element))]).view(values.dtype_of(element))
    number = np.array([float(value)], dtype=values.dtype_of(element))
    return values.rounded(number, element) if element in values.NARROW else number


def _shares(kernel: Kernel, args: Sequence[LaunchArg]) -> bool:
    """Whether programs may read what others of the same launch write."""
    flow = kernel_flow(kernel.ttir, kernel.name, tuple(param.type for param in kernel.params))
    refs = [arg.base if isinstance(arg, Descriptor) else arg for arg in args]
    buffers = [ref.buffer if isinstance(ref, TensorRef) else -1 for ref in refs]
    return bool({buffers[number] for number in flow.reads} & {buffers[number] for number in flow.writes})


def _batches(
    functions: Mapping[str, Function], grid: tuple[int, int, int], backwards: bool, *, apart: bool = False
) -> Any:
    """Places in the grid of the programs that run together, batch after batch.

    Programs of a batch go in step, as none does on a GPU: whoever waits for another without saying so would be right
    here. With `apart` at least two batches are made, of programs chosen at random.
    """
    total = math.prod(grid)
    largest = max((kind.count for kind in next(iter(functions.values())).types), default=1)
    names = {operation.name for operation in _operations(functions)}
    waits = "tt.atomic_cas" in names or ("scf.while" in names and "tt.atomic_rmw" in names)
    size = 1 if waits else max(1, min(total, BATCH // largest))
    # A loop that may end early may wait for programs before it.
    parts = 2 if apart and size > 1 and "scf.while" not in names else 1
    for first in range(0, total, parts * size):
        number = np.arange(first, min(first + parts * size, total), dtype=np.int64)
        if backwards and not waits:
            number = total - 1 - number
        half = np.random.default_rng(total).integers(parts, size=number.size) if parts > 1 else np.zeros(number.size)
        for part in range(parts):
            chosen = number[half == part]
            if chosen.size:
                x, rest = chosen % grid[0], chosen // grid[0]
                yield tuple(place.astype(np.int32) for place in (x, rest % grid[1], rest // grid[1]))


def _operations(functions: Mapping[str, Function]) -> list[Operation]:
    found: list[Operation] = []
    waiting: list[Block] = [block for function in functions.values() for block in function.blocks]
    while waiting:
        for operation in waiting.pop().operations:
            found.append(operation)
            waiting += [block for region in operation.regions for block in region]
    return found


FAILURES = (
    OutOfBoundsError, KernelStopError, NotCarriedOutError, UnknownTextError, UnknownElementError, NotImplementedError,
    ValueError, TypeError, IndexError, KeyError, AttributeError, AssertionError, RecursionError,
)  # fmt: skip
"""All that stops a launch: a kernel's own doing, and text that the machine does not understand."""
