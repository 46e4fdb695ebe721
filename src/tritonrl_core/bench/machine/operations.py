"""What the machine does for each operation that has no control flow: the table, and what fits no room of its own.

`Operations.carry` is given a frame and an operation and gives the results. What is not listed raises
`NotCarriedOutError`. Beside this module: `shapes`, `casts`, `accesses` (memory) and `folds` (products, reductions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from tritonrl_core.bench.machine import accesses, casts, folds, shapes, values
from tritonrl_core.bench.machine.attributes import constant, integer
from tritonrl_core.bench.machine.control import Control
from tritonrl_core.bench.machine.frame import PROGRAM, Frame, NotCarriedOutError
from tritonrl_core.bench.machine.functions import FLOAT_TESTS, FUNCTIONS, INTEGER_TESTS
from tritonrl_core.bench.machine.libdevice import function_for
from tritonrl_core.bench.machine.memory import Memory
from tritonrl_core.bench.machine.values import NARROW, Array
from tritonrl_core.bench.plan.ttir_text import Function, Operation, Type


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
            self.memory.traffic.elements += frame.lanes(operation.types[0])
            return (values.rounded(result, element) if element in NARROW else result,)
        handler = HANDLERS.get(name)
        if handler is None:
            raise NotCarriedOutError(f"`{name}`")
        result = handler(self, frame, operation)
        return result if isinstance(result, tuple) else () if result is None else (result,)


def _constant(machine: Operations, frame: Frame, operation: Operation) -> Any:
    return constant(operation.text, operation.types[0])


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
    "tt.splat": shapes.splat, "tt.broadcast": shapes.same, "tt.expand_dims": shapes.expanded,
    "tt.reshape": shapes.reshaped, "tt.trans": shapes.transposed, "tt.cat": shapes.together, "tt.join": shapes.together,
    "tt.split": shapes.parted, "tt.unsplat": shapes.unsplat, "tt.gather": shapes.gathered,
    "tt.histogram": shapes.histogram,
    **dict.fromkeys(("arith.extf", "arith.truncf", "arith.extsi", "arith.extui", "arith.trunci", "arith.sitofp",
                     "arith.uitofp", "arith.fptosi", "arith.fptoui", "tt.fp_to_fp", "arith.index_cast",
                     "arith.index_castui"), casts.cast),
    **dict.fromkeys(("arith.bitcast", "tt.bitcast", "tt.int_to_ptr", "tt.ptr_to_int"), casts.bits),
    "tt.extern_elementwise": _extern, "tt.addptr": accesses.pointer_sum, "tt.load": accesses.load,
    "tt.store": accesses.store, "tt.atomic_rmw": accesses.atomic, "tt.atomic_cas": accesses.atomic,
    "tt.make_tensor_descriptor": accesses.make_descriptor, "tt.descriptor_load": accesses.descriptor_load,
    "tt.descriptor_store": accesses.descriptor_store, "tt.dot": folds.dot, "tt.reduce": folds.reduced,
    "tt.scan": folds.scanned, "arith.mului_extended": _extended, "arith.mulsi_extended": _extended,
    "llvm.intr.assume": _holds, "tt.assert": _holds, "ub.poison": _any_value,
    **dict.fromkeys(("tt.print", "ttg.barrier", "gpu.barrier", "ttg.local_barrier"), _nothing),
    "tt.elementwise_inline_asm": _refused("inline assembly"),
}  # fmt: skip
