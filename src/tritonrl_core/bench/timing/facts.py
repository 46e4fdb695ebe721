"""What can be said of a plan and its binaries without a clock: counts, sizes, registers, occupancy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.plan.schema import DTYPES, LaunchPlan, TensorRef, tensors_in
from tritonrl_core.bench.targets import GpuProperties

REGISTER_UNIT = 256
"""Registers are handed out to a warp in units of this many (NVIDIA, since Kepler)."""

USUAL_REGISTERS = 64
"""Taken where the assembler did not say."""


def plan_facts(plan: LaunchPlan, built: Sequence[CompiledKernel | None], gpu: GpuProperties) -> dict[str, Any]:
    """Counts of steps, bytes of memory, the largest need of any kernel, and the least occupancy."""
    kernels = [kernel for kernel in built if kernel is not None]
    used = [built[number] for number in sorted({launch.kernel for launch in plan.launches()})]
    lines: dict[str, int] = {}
    for call in plan.aten_calls():
        lines.setdefault(call.name, call.line)
    return {
        "launch_count": len(plan.launches()),
        "kernels": len(plan.kernels),
        "aten_calls": len(plan.aten_calls()),
        "aten": lines,
        "peak_bytes": sum(buffer.nbytes for buffer in plan.buffers),
        "registers": max((kernel.registers for kernel in kernels), default=-1),
        "spill_bytes": max((kernel.spill_bytes for kernel in kernels), default=-1),
        "shared_bytes": max((kernel.shared for kernel in kernels), default=0),
        "occupancy": round(min((occupancy(kernel, gpu) for kernel in used if kernel), default=0.0), 3),
    }


def has_atomics(plan: LaunchPlan) -> bool:
    """Whether any kernel adds up or exchanges in memory what other programs may, in whatever order they come."""
    return any("tt.atomic_" in kernel.ttir for kernel in plan.kernels)


def no_double_form(reason: str) -> str:
    """What cannot be checked where a reference has no double-precision form."""
    return f"digits beyond the working precision, which is all that the reference has: {reason}"


def resident(kernel: CompiledKernel, gpu: GpuProperties) -> int:
    """Programs of a kernel that one multiprocessor holds at a time: by threads, registers, shared memory and slots."""
    threads = kernel.num_warps * gpu.warp_size
    registers = kernel.registers if kernel.registers > 0 else USUAL_REGISTERS
    per_warp = -(-registers * gpu.warp_size // REGISTER_UNIT) * REGISTER_UNIT
    limits = [
        gpu.blocks_per_multiprocessor,
        gpu.threads_per_multiprocessor // threads,
        gpu.registers_per_multiprocessor // (per_warp * kernel.num_warps),
        gpu.shared_per_multiprocessor // (kernel.shared + 1024) if kernel.shared else gpu.blocks_per_multiprocessor,
    ]
    return max(1, min(limits))


def occupancy(kernel: CompiledKernel, gpu: GpuProperties) -> float:
    """Share of a multiprocessor's threads that are resident when it is full of this kernel's programs."""
    return min(1.0, resident(kernel, gpu) * kernel.num_warps * gpu.warp_size / gpu.threads_per_multiprocessor)


def aten_bytes(plan: LaunchPlan) -> int:
    """Bytes that the ATen calls of forward read and write, each tensor counted whole."""
    return sum(_nbytes(ref) for call in plan.aten_calls() for ref in tensors_in([call.args, call.outputs]))


def _nbytes(ref: TensorRef) -> int:
    count = 1
    for size, step in zip(ref.shape, ref.stride, strict=True):
        count *= size if step else 1
    return count * DTYPES[ref.dtype]


def share(part: float, rest: float) -> float:
    """A part's share of the whole; 0 where there is nothing."""
    return round(part / (part + rest), 3) if part + rest else 0.0
