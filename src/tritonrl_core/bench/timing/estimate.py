"""Speed where there is no clock for it: a model of the target GPU, from counted traffic. Never a measurement.

For a kernel launch, and alike for each kernel that eager PyTorch is known to run for an operator (`bench.eager`):

    overhead + waits + max(fresh bytes / DRAM rate, sectors / L2 rate, arithmetic)

- *overhead* is that of a launch in a captured graph: the first one's is larger than that of those behind it;
- *waits*: each wave of programs waits for memory as often as a program comes to loads in another turn of a block, and
  longer where the bytes are not in the cache yet;
- *bytes*: fresh ones (no launch before had moved them) come from DRAM, all go through L2 in whole sectors of 32 bytes,
  so that scattered accesses cost what they move. Lanes that are masked off are not counted;
- *arithmetic* is that of products, of ordinary operations and of spilled registers, on the multiprocessors that have
  a program at all (the last one to finish counts) and as many of their four schedulers as have a warp. A product in
  fp32 outside matrix units reads its operands from shared memory: the more often, the smaller a thread's share of the
  tile.

Programs that fit at a time follow from the binary's registers and shared memory. Left out: latency of instructions,
bank conflicts, atomics that meet. No total is below what moving the task's inputs and outputs once takes.

The constants were chosen on tasks of `benchmarks/agreement_h200/measured.jsonl`; how well the estimate ranks kernels of
tasks that it has not seen is in docs/benchmarks.md.

Bytes and operations of a candidate are counted by the machine while it carries the plan out, on its own memory, and
registers and shared memory come from the compiled binary; no word of the candidate's is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from torch import Tensor

from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.bench.timing.agreement import SCATTER, SCATTER_WITHIN, may_be_rewarded
from tritonrl_core.bench.timing.facts import resident
from tritonrl_core.bench.timing.speed import Z
from tritonrl_core.types import Timing

SECTOR = 32

EAGER_ELEMENTS = 1024
"""Elements of one program of four warps, where PyTorch works element by element."""

LAUNCH_US, NEXT_US = 4.5, 0.7
"""What the first launch of a graph costs before any work is done, and each one behind it. By the clock of
`replay.timing`, whose events are in the graph: with nothing between them they are 2.9 µs apart."""

WAIT_US, COLD_US = 0.55, 0.3
"""How long a program waits for one round of loads, and how much longer where they come from DRAM."""

DRAM_FILL, L2_FILL, PRODUCT_FILL = 0.65, 0.5, 0.8
"""Shares of the data sheet's rates that real kernels reach."""

SCHEDULERS = 4
"""Warps that a multiprocessor can give instructions to at a time."""

OPERATION = 10.0
"""Instructions of a lane for one ordinary operation of a kernel's text, with its share of addresses and masks."""

OPERANDS = 8.0
"""Reads from shared memory against multiplications, for a thread whose share of a product's tile is one element."""

SPILLED = 3.0
"""How often a spilled register is moved in each round."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one launch does, over all of its programs: bytes in all, bytes of distinct addresses, operations of products
    by kind, programs; how many warps a program has and how many programs a multiprocessor holds.

    `moved` are bytes in whole sectors, `fresh` those that nobody had moved before, `rounds` waits for memory,
    `elements` ordinary operations on single lanes, `tile` elements of a product's result (0: its operands cost
    nothing more), `spill_bytes` those of one thread. None: as for accesses that are straight, new and waited for once.
    """

    bytes: int
    unique_bytes: int
    flops: Mapping[str, float]
    programs: int
    warps: int = 4
    resident: int = 16
    moved: int | None = None
    fresh: int | None = None
    rounds: float | None = None
    elements: float = 0.0
    tile: float = 0.0
    spill_bytes: int = 0


def work_of(launch: Mapping[str, Any], kernel: CompiledKernel | None, gpu: GpuProperties) -> Work:
    """The work of a launch that the machine counted, with what its binary needs."""
    needs: dict[str, Any] = {}
    if kernel is not None:
        spilled = max(kernel.spill_bytes, 0)
        needs = {"warps": kernel.num_warps, "resident": resident(kernel, gpu), "spill_bytes": spilled}
    return Work(
        bytes=launch["bytes_read"] + launch["bytes_written"],
        unique_bytes=launch["unique_read"] + launch["unique_written"],
        flops=launch["flops"],
        programs=math.prod(launch["grid"]),
        moved=launch["sectors"] * SECTOR,
        fresh=launch["fresh"],
        rounds=launch["rounds"],
        elements=launch["elements"],
        tile=launch["tile_work"] / max(sum(launch["flops"].values()), 1.0),
        **needs,
    )


def microseconds(work: Sequence[Work], gpu: GpuProperties) -> float:
    """Estimated time of launches one after the other."""
    overhead = LAUNCH_US + NEXT_US * (len(work) - 1) if work else 0.0
    return overhead + sum(_launch(item, gpu) for item in work)


def roofline_us(tensors: Sequence[Tensor], gpu: GpuProperties) -> float:
    """The least time any program can take: moving these tensors (inputs, parameters, outputs) once, in one launch."""
    return LAUNCH_US + sum(_bytes(tensor) for tensor in tensors) / gpu.dram_bandwidth * 1e6


def estimate(
    candidate: Sequence[Work], reference: Sequence[Work], moved: Sequence[Tensor], gpu: GpuProperties, family: str = ""
) -> Timing:
    """Candidate against the eager reference. `moved` are the task's inputs, parameters and outputs.

    The interval is as wide as estimates were off on tasks that they had not seen (`bench.agreement`); whether it may
    enter a reward depends on the task's family.
    """
    floor = roofline_us(moved, gpu)
    mine = max(microseconds(candidate, gpu), floor)
    theirs = max(microseconds(reference, gpu), floor)
    speedup = theirs / mine
    return Timing(
        candidate_us=(mine,), baseline_us={"eager": (theirs,)},
        speedup=speedup, speedup_low=speedup * exp(-Z * SCATTER), speedup_high=speedup * exp(Z * SCATTER),
        device=f"{gpu.name} (not present)", method="model", clock="estimated", reward_allowed=may_be_rewarded(family),
        notes=("estimated from the traffic of a replay on the CPU; not a measurement",),
        facts={"candidate_half_width": Z * SCATTER_WITHIN},
    )  # fmt: skip


def _launch(work: Work, gpu: GpuProperties) -> float:
    """Microseconds of one launch, without its overhead."""
    moved = work.bytes if work.moved is None else work.moved
    fresh = work.unique_bytes if work.fresh is None else work.fresh
    seconds = max(
        fresh / (gpu.dram_bandwidth * DRAM_FILL),
        moved / (gpu.l2_bandwidth * L2_FILL),
        _arithmetic(work, gpu),
    )
    return _waits(work, gpu, fresh) + seconds * 1e6


def _waits(work: Work, gpu: GpuProperties, fresh: int) -> float:
    """Microseconds in which programs wait for memory, wave after wave."""
    programs = max(work.programs, 1)
    waves = math.ceil(programs / (gpu.multiprocessors * work.resident))
    rounds = 1.0 if work.rounds is None else work.rounds / programs
    cold = min(1.0, fresh / max(work.unique_bytes, 1)) * min(1.0, rounds)
    return waves * (rounds * WAIT_US + cold * COLD_US)


def _arithmetic(work: Work, gpu: GpuProperties) -> float:
    """Seconds of arithmetic on the multiprocessor that has most to do, whose programs keep some schedulers busy."""
    programs = max(work.programs, 1)
    at_once = math.ceil(min(programs, gpu.multiprocessors * work.resident) / gpu.multiprocessors)
    slower = math.ceil(programs / gpu.multiprocessors) * gpu.multiprocessors / programs
    slower /= min(1.0, at_once * work.warps / SCHEDULERS)
    lanes = work.warps * gpu.warp_size
    reads = 1.0 + OPERANDS / math.sqrt(work.tile / lanes) if work.tile else 1.0
    products = sum(
        amount * (reads if kind == "fp32" else 1.0) / (gpu.flops.get(kind, gpu.flops["fp32"]) * PRODUCT_FILL)
        for kind, amount in work.flops.items()
    )
    others = work.elements * OPERATION / (gpu.flops["fp32"] / 2)  # a fused multiply-add counts twice
    rounds = programs if work.rounds is None else work.rounds
    spilled = work.spill_bytes * lanes * rounds * SPILLED / gpu.l2_bandwidth
    return (products + others + spilled) * slower


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
