"""Checking a launch plan that came from an untrusted process: every size, range, name and reference.

What this lets through is safe to hand to the compiler and the replayer: nothing lies outside its buffer, nothing is
used before it is there, grids and scalars fit, promises of alignment hold, operators are known. What it refuses becomes
a `PlanError` with a status and a reason, never an exception. What the kernels themselves do is not looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tritonrl_core.bench.plan.read import DESCRIPTOR, PlanError, RefusedError, read_plan
from tritonrl_core.bench.plan.schema import (
    DTYPES,
    FLOAT_TYPES,
    INT_RANGES,
    AtenCall,
    Descriptor,
    Launch,
    LaunchArg,
    LaunchPlan,
    Param,
    Step,
    TensorRef,
    Tune,
    tensors_in,
)
from tritonrl_core.types import Status


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """How large a plan may be. `memory_bytes` bounds all buffers together: what is beyond it is the candidate's own
    out-of-memory. `constant_bytes` bounds the data that Python wrote.
    """

    memory_bytes: int = 32 << 30
    constant_bytes: int = 8 << 10
    text_bytes: int = 16 << 20
    kernels: int = 512
    buffers: int = 50_000
    steps: int = 20_000
    grid_programs: int = 1 << 40


def validate(data: bytes, limits: PlanLimits | None = None) -> LaunchPlan | PlanError:
    """Read and check a serialised plan. Whatever the bytes are, the answer is a plan or a reason."""
    limits = limits or PlanLimits()
    try:
        if len(data) > limits.text_bytes:
            raise RefusedError(f"{len(data)} bytes; at most {limits.text_bytes} are read", Status.UNSUPPORTED)
        plan = read_plan(data)
        _check(plan, limits)
    except RefusedError as refused:
        return refused.error
    return plan


def _check(plan: LaunchPlan, limits: PlanLimits) -> None:
    if len(plan.kernels) > limits.kernels or len(plan.buffers) > limits.buffers:
        raise RefusedError("more kernels or buffers than a plan may have", Status.UNSUPPORTED)
    if len(plan.prologue) + len(plan.steps) > limits.steps:
        raise RefusedError(f"more than {limits.steps} steps", Status.UNSUPPORTED)
    _check_buffers(plan, limits)
    for ref in tensors_in([plan.inputs, plan.init_inputs, plan.parameters, plan.prologue, plan.steps, plan.outputs]):
        if ref.buffer >= len(plan.buffers):
            raise RefusedError("a tensor in a buffer that does not exist")
        if ref.end > plan.buffers[ref.buffer].nbytes:
            raise RefusedError(f"a tensor reaches past the end of buffer {ref.buffer}")
    _check_sources(plan)
    _check_prologue(plan)
    born: set[int] = set()
    for step in [*plan.prologue, *plan.steps]:
        _check_step(plan, step, born, limits)
    for ref in tensors_in(plan.outputs):
        _check_born(plan, ref, born)


def _check_buffers(plan: LaunchPlan, limits: PlanLimits) -> None:
    total = sum(buffer.nbytes for buffer in plan.buffers)
    if total > limits.memory_bytes:
        reason = f"out of memory: the launch plan needs {total} bytes, {limits.memory_bytes} are allowed"
        raise RefusedError(reason, Status.RUNTIME_ERROR)
    constants = [buffer for buffer in plan.buffers if buffer.role == "constant"]
    size = sum(buffer.nbytes for buffer in constants)
    if size > limits.constant_bytes:
        reason = (
            f"{size} bytes of tensor data are written in Python; at most {limits.constant_bytes} are allowed. "
            "Compute tables in a kernel."
        )
        raise RefusedError(reason, Status.REJECTED)
    for buffer in plan.buffers:
        if len(buffer.data) != (buffer.nbytes if buffer.role == "constant" else 0):
            raise RefusedError("a buffer's data does not have its size")


def _check_sources(plan: LaunchPlan) -> None:
    for role, refs in (("input", plan.inputs), ("init_input", plan.init_inputs)):
        for number, ref in enumerate(refs):
            buffer = plan.buffers[ref.buffer]
            if (buffer.role, buffer.index) != (role, number):
                raise RefusedError(f"{role} {number} does not lie in a buffer of its own")
        if sum(buffer.role == role for buffer in plan.buffers) != len(refs):
            raise RefusedError(f"a buffer claims an {role} that is not there")
    for name, ref in plan.parameters.items():
        buffer = plan.buffers[ref.buffer]
        if (buffer.role, buffer.name) != ("parameter", name):
            raise RefusedError(f"parameter {name} does not lie in a buffer of its own")
    if sum(buffer.role == "parameter" for buffer in plan.buffers) != len(plan.parameters):
        raise RefusedError("a buffer claims a parameter that is not there")


def _check_prologue(plan: LaunchPlan) -> None:
    """Work on weights may stay outside of the clock; work on inputs would hide there."""
    inputs = {ref.buffer for ref in plan.inputs}
    if any(ref.buffer in inputs for ref in tensors_in(plan.prologue)):
        raise RefusedError("the prologue touches the inputs")


def _check_born(plan: LaunchPlan, ref: TensorRef, born: set[int]) -> None:
    if plan.buffers[ref.buffer].role == "aten" and ref.buffer not in born:
        raise RefusedError(f"buffer {ref.buffer} is used before the call that makes it")


def _check_step(plan: LaunchPlan, step: Step, born: set[int], limits: PlanLimits) -> None:
    if isinstance(step, Tune):
        for variant in step.variants:
            own = set(born)
            for part in variant:
                _check_step(plan, part, own, limits)
    elif isinstance(step, AtenCall):
        for ref in tensors_in([step.args, step.kwargs]):
            _check_born(plan, ref, born)
        born.update(ref.buffer for ref in step.outputs if ref is not None)
    else:
        _check_launch(plan, step, born, limits)


def _check_launch(plan: LaunchPlan, launch: Launch, born: set[int], limits: PlanLimits) -> None:
    if launch.kernel >= len(plan.kernels):
        raise RefusedError("a launch of a kernel that does not exist")
    kernel = plan.kernels[launch.kernel]
    if max(launch.grid[1:]) > 65_535:
        reason = f"line {launch.line}: grid {launch.grid} of {kernel.name}: y and z may be 65535 at most"
        raise RefusedError(reason, Status.RUNTIME_ERROR)
    if math.prod(launch.grid) > limits.grid_programs:
        reason = f"line {launch.line}: grid {launch.grid} of {kernel.name} is too large"
        raise RefusedError(reason, Status.RUNTIME_ERROR)
    if len(launch.args) != len(kernel.params):
        raise RefusedError(f"a launch of {kernel.name} with {len(launch.args)} arguments for {len(kernel.params)}")
    for param, arg in zip(kernel.params, launch.args, strict=True):
        if not _fits(param, arg):
            raise RefusedError(f"argument {param.path} of {kernel.name} does not fit its type {param.type}")
        if isinstance(arg, Descriptor) and _reach(arg) > plan.buffers[arg.base.buffer].nbytes:
            raise RefusedError(f"descriptor {param.path} of {kernel.name} reaches past the end of its buffer")
        for ref in tensors_in((arg,)):
            _check_born(plan, ref, born)


def _fits(param: Param, arg: LaunchArg) -> bool:
    if isinstance(arg, TensorRef):
        return param.type.startswith("*") and (param.divisible == 0 or arg.byte_offset % min(param.divisible, 256) == 0)
    if isinstance(arg, Descriptor):
        return _descriptor_fits(param, arg)
    if isinstance(arg, float):
        return param.type in FLOAT_TYPES
    if param.type in FLOAT_TYPES:
        return True
    low, high = INT_RANGES.get(param.type, (1, 0))
    return low <= arg <= high and (param.divisible == 0 or arg % param.divisible == 0)


def _descriptor_fits(param: Param, arg: Descriptor) -> bool:
    match = DESCRIPTOR.fullmatch(param.type)
    if match is None or tuple(int(size) for size in match[2].split(",")) != arg.block_shape:
        return False
    size = DTYPES[arg.base.dtype]
    return arg.base.byte_offset % 16 == 0 and all(step * size % 16 == 0 for step in arg.strides[:-1])


def _reach(descriptor: Descriptor) -> int:
    base = descriptor.base
    return TensorRef(base.buffer, descriptor.shape, descriptor.strides, base.offset, base.dtype).end
