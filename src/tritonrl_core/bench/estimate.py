"""Speed where there is no clock for it: a roofline of the target GPU, from counted traffic. Never a measurement.

For a kernel launch, and alike for each operator that the reference runs eagerly, the time is

    overhead + max(unique bytes / DRAM rate, bytes / L2 rate, Σ operations of a kind / peak of that kind) / share

with the target's figures (`bench.targets`). `share` is how much of the device the launch keeps busy: the warps that are
resident (programs of the launch, at most as many as registers, shared memory and slots let in) against those that
saturate memory, times the part of the last wave of programs that is filled. An operator of the reference is taken to
have one program of four warps for each 1024 elements. Lanes that are masked off are not counted. Caches across
launches, latency and instruction mix are left out. No total is below what moving the task's inputs and outputs once
takes.

Bytes and operations of a candidate are counted by the machine while it carries the plan out, on its own memory, and
registers and shared memory come from the compiled binary; no word of the candidate's is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tritonrl_core.bench.compile_request import CompiledKernel
from tritonrl_core.bench.facts import resident
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.types import Timing

LAUNCH_US = 3.0
"""What a launch costs at least on the device side, with its gap to the next one."""

FILL = 0.8
"""Share of the data sheet's rates that real kernels reach."""

EAGER_ELEMENTS, EAGER_WARPS = 1024, 4

SATURATING = 0.25
"""Share of a multiprocessor's warps that must be resident for its memory to be busy all the time."""

REWARD_ALLOWED = False
"""An estimate may enter a reward only once its rank agreement with measured speedups on a GPU is shown to be 0.6 or
more (docs/benchmarks.md). It is not shown yet."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one launch does: bytes in all, bytes of distinct addresses, operations by kind, programs; and how many
    warps a program has and how many programs a multiprocessor holds.
    """

    bytes: int
    unique_bytes: int
    flops: Mapping[str, float]
    programs: int
    warps: int = EAGER_WARPS
    resident: int = 16


def work_of(launch: Mapping[str, Any], kernel: CompiledKernel | None, gpu: GpuProperties) -> Work:
    """The work of a launch that the machine counted, with what its binary needs."""
    needs = {} if kernel is None else {"warps": kernel.num_warps, "resident": resident(kernel, gpu)}
    return Work(
        bytes=launch["bytes_read"] + launch["bytes_written"],
        unique_bytes=launch["unique_read"] + launch["unique_written"],
        flops=launch["flops"],
        programs=math.prod(launch["grid"]),
        **needs,
    )


def microseconds(work: Sequence[Work], gpu: GpuProperties) -> float:
    """Estimated time of launches one after the other."""
    return sum(_launch(item, gpu) for item in work)


def roofline_us(tensors: Sequence[Tensor], gpu: GpuProperties) -> float:
    """The least time any program can take: moving these tensors (inputs, parameters, outputs) once, in one launch."""
    return LAUNCH_US + sum(_bytes(tensor) for tensor in tensors) / gpu.dram_bandwidth * 1e6


def estimate(
    candidate: Sequence[Work], reference: Sequence[Work], moved: Sequence[Tensor], gpu: GpuProperties
) -> Timing:
    """Candidate against the eager reference. `moved` are the task's inputs, parameters and outputs."""
    floor = roofline_us(moved, gpu)
    mine = max(microseconds(candidate, gpu), floor)
    theirs = max(microseconds(reference, gpu), floor)
    speedup = theirs / mine
    return Timing(
        candidate_us=(mine,), baseline_us={"eager": (theirs,)},
        speedup=speedup, speedup_low=speedup, speedup_high=speedup,
        device=f"{gpu.name} (not present)", method="roofline", clock="estimated", reward_allowed=REWARD_ALLOWED,
        notes=("estimated from the traffic of a replay on the CPU; not a measurement",),
    )  # fmt: skip


class EagerWork(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the work of each ATen operator that runs inside: every input read once, every output written once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work: list[Work] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs, outputs = _tensors([*args, *(kwargs or {}).values()]), _tensors([result])
        known = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        moves_nothing = func.is_view or all(tensor.untyped_storage().data_ptr() in known for tensor in outputs)
        if not (moves_nothing and not func._schema.is_mutable) and not _only_allocates(func):
            size = sum(map(_bytes, inputs)) + sum(map(_bytes, outputs))
            elements = max((tensor.numel() for tensor in (*inputs, *outputs)), default=0)
            programs = -(-elements // EAGER_ELEMENTS)
            self.work.append(Work(size, size, _flops(func, args, kwargs or {}, result), programs))
        return result


def _launch(work: Work, gpu: GpuProperties) -> float:
    seconds = max(
        work.unique_bytes / (gpu.dram_bandwidth * FILL),
        work.bytes / (gpu.l2_bandwidth * FILL),
        sum(amount / (gpu.flops.get(kind, gpu.flops["fp32"]) * FILL) for kind, amount in work.flops.items()),
    )
    return LAUNCH_US + seconds / busy_share(work, gpu) * 1e6


def busy_share(work: Work, gpu: GpuProperties) -> float:
    """How much of the device a launch keeps busy, from more than 0 to 1."""
    programs, places = max(work.programs, 1), gpu.multiprocessors * work.resident
    warps = min(programs, places) * work.warps
    enough = gpu.multiprocessors * gpu.threads_per_multiprocessor / gpu.warp_size * SATURATING
    spread = min(1.0, programs / gpu.multiprocessors)
    tail = programs / places / math.ceil(programs / places) if programs > places else 1.0
    return min(1.0, spread, max(warps / enough, 1e-6)) * tail


def _flops(func: Any, args: Any, kwargs: Any, result: Any) -> dict[str, float]:
    count = flop_registry.get(func._overloadpacket)
    tensors = _tensors([result])
    if count is None or not tensors:
        return {}
    kinds = {torch.float64: "fp64", torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "fp16"}
    return {kinds.get(tensors[0].dtype, "fp32"): float(count(*args, **kwargs, out_val=result))}


def _only_allocates(func: Any) -> bool:
    return func._schema.name.rpartition("::")[2] in ("empty", "empty_like", "empty_strided", "new_empty", "detach")


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
