"""What PyTorch would run on a GPU for the ATen calls of a candidate's plan, as `estimate.Work`: they are not free.

From shapes alone, by the same rules as for a reference (`eager`); nothing is carried out.
"""

from __future__ import annotations

from typing import Any

import torch

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.plan.schema import AtenCall, LaunchPlan, TensorRef, tensors_in
from tritonrl_core.bench.timing.eager import Call, flops_of, kernels
from tritonrl_core.bench.timing.estimate import Work


def aten_work(plan: LaunchPlan, *, prologue: bool) -> list[Work]:
    """The kernels of all ATen calls in order. What one of them has moved, the next finds cached."""
    moved: set[int] = set()
    work: list[Work] = []
    for call in plan.aten_calls(prologue=prologue):
        sizes = {ref.buffer: plan.buffers[ref.buffer].nbytes for ref in tensors_in(call)}
        fresh = sum(size for buffer, size in sizes.items() if buffer not in moved)
        moved |= sizes.keys()
        work += kernels(_as_called(call), fresh)
    return work


def _as_called(call: AtenCall) -> Call:
    args, words = _shapes(call.args), {name: _shapes(value) for name, value in call.kwargs.items()}
    inputs = [_shape(ref) for ref in tensors_in([call.args, call.kwargs])]
    outputs = [_shape(ref) for ref in call.outputs if ref is not None]
    flops = flops_of(operators.operator(call.name), args, words, outputs[0] if len(outputs) == 1 else outputs)
    return Call(operators.base_name(call.name), args, inputs, outputs, flops)


def _shapes(value: Any) -> Any:
    if isinstance(value, TensorRef):
        return _shape(value)
    return [_shapes(part) for part in value] if isinstance(value, tuple) else value


def _shape(ref: TensorRef) -> torch.Tensor:
    return torch.empty_strided(ref.shape, ref.stride, dtype=getattr(torch, ref.dtype), device="meta")
