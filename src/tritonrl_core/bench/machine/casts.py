"""What the machine does with types: conversions of numbers, and their bits taken for another type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.frame import Frame
from tritonrl_core.bench.machine.values import NARROW
from tritonrl_core.bench.plan.ttir_text import Operation

if TYPE_CHECKING:
    from tritonrl_core.bench.machine.operations import Operations


def cast(machine: Operations, frame: Frame, operation: Operation) -> Any:
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


def bits(machine: Operations, frame: Frame, operation: Operation) -> Any:
    value, target = frame.get(operation.operands[0]), operation.types[0].element
    source = machine.type_of(operation.operands[0]).element
    if target == "ptr" or source == "ptr":
        return value.astype(np.int64)
    raw = np.ascontiguousarray(values.encode(value, source))
    return values.decode(raw.view(values.stored_as(target)), target)
