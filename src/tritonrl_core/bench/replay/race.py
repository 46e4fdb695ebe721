"""Times of a candidate and its baselines, taken in turn with the GPU to ourselves as far as we can see to it.

What is timed, and whether it was right, is `replay.timing`'s; whose turn it is, and when there are
enough, `stopwatch`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from tritonrl_core.bench.replay.gpu_state import alone_on, gpu_state, others_on
from tritonrl_core.bench.replay.stopwatch import Contestant, DeviceClock, Track, doubt, race
from tritonrl_core.errors import InfraError
from tritonrl_core.types import TimingProtocol

ATTEMPTS, PAUSE_S = 3, 0.05
"""How often a measurement that was disturbed is tried, and how long it waits for the disturbance to pass."""

WALL_RUNS, WALL_S = 15, 0.3
"""How often the reference is run by the host's clock, and after how many seconds in all no more."""


@dataclass(frozen=True)
class Taken:
    """Samples by name, and what is to be said of how they were taken."""

    tracks: dict[str, Track]
    facts: Mapping[str, Any]
    notes: list[str]


def in_turn(
    alone: Callable[[], AbstractContextManager[None]], gpu: str, entrants: Sequence[Contestant],
    protocol: TimingProtocol, clock: DeviceClock,
) -> Taken:  # fmt: skip
    """Time all entrants. `alone` keeps our own jobs away, a lock by the name of the `gpu` other processes that time.

    Facts: `seconds` alone, `waited_s` before that, `attempts`, `foreign` (see `stopwatch.doubt`) and the GPU's state.
    Raises `InfraError` where other work on the device could not be waited out; by `simple` that is not looked at.
    """
    held = waited = 0.0
    for attempt in range(ATTEMPTS):
        time.sleep(attempt * PAUSE_S)
        # Asked outside: the driver takes its time to answer, and nobody else can use the GPU meanwhile.
        others, asked = others_on(gpu), time.perf_counter()
        with alone(), alone_on(gpu, max(10.0, 10 * protocol.budget_s)):
            entered = time.perf_counter()
            tracks = race(entrants, protocol, clock)
            found = doubt(tracks, clock, protocol.trim, others=others)
            held += time.perf_counter() - entered
        waited += entered - asked
        refused = found.reason if protocol.method != "simple" else ""
        if not refused:
            break
    state = gpu_state(gpu)
    if refused:
        raise InfraError(f"could not measure: {refused}", remedy="Give the verifier a GPU of its own while it times.")
    facts = {"foreign": found.foreign, "attempts": attempt + 1, **state,
             "seconds": round(held, 4), "waited_s": round(waited, 4)}  # fmt: skip
    return Taken(tracks, facts, _notes(state))


def _notes(state: Mapping[str, Any]) -> list[str]:
    if not state:
        return ["clocks and throttling are not known: NVML does not answer"]
    slowed = state.get("slowed_by")
    return [f"the GPU's clocks were held down: {', '.join(slowed)}"] if slowed else []


def wall_us(work: Callable[[], Any]) -> float:
    """Median time of work from call to end by the host's clock, in microseconds: what a caller waits."""
    work()
    torch.cuda.synchronize()
    times: list[float] = []
    while len(times) < WALL_RUNS and sum(times) <= WALL_S:
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return round(median(times) * 1e6, 3)
