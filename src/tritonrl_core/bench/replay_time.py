"""Timing a plan on the device, against its baselines: what the replay worker does with a job that measures.

Trusted code in the worker that owns the GPU; the clock and the candidate's Python never meet. It gives raw samples and
whether what was timed was right; what follows from samples is `speed`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tritonrl_core.bench.device_memory import wipe
from tritonrl_core.bench.replay_check import Bench, Job, fault_boundary
from tritonrl_core.bench.replayer import seeded, timing_event
from tritonrl_core.types import TimingProtocol


def measure(bench: Bench, job: Job, protocol: TimingProtocol) -> dict[str, Any]:
    """Samples in microseconds of candidate and baselines, and whether the last timed output was right."""
    baselines = {name: _time_baseline(bench, job, name, protocol) for name in protocol.baselines}
    replay, placed = bench.place(job)
    try:
        with fault_boundary(), seeded(job.case.seed):
            replay.tune(placed)
            packed = job.task.policy.packed_weights
            placed.run()
            samples = _samples(bench, lambda: placed.run(prologue=not packed), protocol)
        got = [output.clone() for output in placed.outputs()]
        answer = bench.judge(job, placed, got, placed.arena.guards_hold(), last_of_many=True)
        wipe(got)
    finally:
        replay.close()
    return {
        "candidate_us": samples, "baseline_us": baselines, "status": answer["status"], "reason": answer["reason"],
    }  # fmt: skip


def _time_baseline(bench: Bench, job: Job, name: str, protocol: TimingProtocol) -> list[float]:
    materials = bench.materials(job)
    model: Callable[..., Any] = materials.model
    if name == "compiled":
        model = torch.compile(materials.model)
    try:
        with torch.no_grad():
            return _samples(bench, lambda: model(*materials.inputs), protocol)
    finally:
        bench.clear(materials)


def _samples(bench: Bench, run: Callable[[], Any], protocol: TimingProtocol) -> list[float]:
    """Times of single runs in microseconds, between events on one stream, the cache flushed before each."""
    if protocol.method == "graph":
        run = captured(run)
    for _ in range(protocol.warmup):
        run()
    events = [(timing_event(), timing_event()) for _ in range(protocol.trials)]
    for begin, end in events:
        bench.flush.zero_()
        begin.record()
        run()
        end.record()
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) * 1e3 for begin, end in events]


def captured(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same work as a CUDA graph; the work itself where it cannot be captured."""
    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            kept = run()
    except RuntimeError:
        torch.cuda.synchronize()
        return run

    def replay(_kept: Any = kept) -> None:
        graph.replay()

    return replay
