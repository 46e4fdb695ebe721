"""Timing a plan on the device, against its baselines: what the replay worker does with a job that measures.

Trusted code in the worker that owns the GPU; the clock and the candidate's Python never meet. It gives raw samples and
whether what was timed was right; what follows from samples is `speed`'s.

Candidate and baselines run as captured graphs, in turn. Before each timed run the candidate's memory is as if it had
never run: what it wrote last time is poison again or put back, and the cache is flushed, so there is no earlier result
to live off. The baselines are on the device meanwhile, with inputs of another seed: nothing that a kernel could find
there is what it has to compute.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from tritonrl_core.bench.plan.schema import DTYPES, TensorRef, tensors_in
from tritonrl_core.bench.references.reference import Materials
from tritonrl_core.bench.replay.cases import differences
from tritonrl_core.bench.replay.check import Bench, Clock, Job, fault_boundary
from tritonrl_core.bench.replay.contestants import SHIFT, Clean, Runner, captures, intact, settle, watch
from tritonrl_core.bench.replay.device_memory import POISONS, wipe
from tritonrl_core.bench.replay.gpu_state import alone_on
from tritonrl_core.bench.replay.race import in_turn, wall_us
from tritonrl_core.bench.replay.replayer import Placed, Replay
from tritonrl_core.bench.replay.stopwatch import (
    Contestant,
    DeviceClock,
    Lane,
    Track,
    race,
)
from tritonrl_core.bench.timing.speed import drifted
from tritonrl_core.bench.walk import given_by, seeded
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Status, TimingProtocol

METHODS = ("simple", "published", "adaptive")

OTHER_SEED = 0x5EED
"""Added to a case's seed for the baselines' inputs."""

DRIFT_RUNS = 12
"""Runs of a baseline whose times are known from before, to see whether they still hold."""

LONG_S = 0.05
"""A reference that takes longer is timed at one place in memory, where the case is large."""

MOST_MEMORY = 0.8
"""Share of the free memory that captures at several places may take."""

Samples = list[list[float]]


def measure(
    bench: Bench, job: Job, protocol: TimingProtocol, known: Mapping[str, Samples] | None = None
) -> dict[str, Any]:
    """Time the job's plan and its baselines. `known` are samples of baselines measured before, by name.

    Gives `candidate_us` and `baseline_us` (microseconds, by place in memory), `measured` (names of the baselines
    measured now), `status` and `reason` of what was timed, `facts` and `notes`. Raises `InfraError` where the
    device was not ours alone, `DeviceFaultError` where the candidate broke it.
    """
    if protocol.method not in METHODS:
        raise InfraError(f"there is no timing method {protocol.method!r}", remedy=f"Use one of {', '.join(METHODS)}.")
    found = _Heat(bench, job, protocol, bench.replay(job), dict(known or {})).measure()
    torch.cuda.empty_cache()
    return found


class _Heat:
    """One job: its contestants, and what is noted on the way."""

    def __init__(
        self, bench: Bench, job: Job, protocol: TimingProtocol, replay: Replay, known: dict[str, Samples]
    ) -> None:
        self.bench, self.job, self.protocol, self.replay, self.known = bench, job, protocol, replay, known
        self.notes: list[str] = []
        self.uncaptured: set[str] = set()
        self.facts: dict[str, Any] = {}
        self.graphs = protocol.method != "simple"
        self.gpu = torch.cuda.get_device_properties(bench.device)
        self.gpu_name = str(getattr(self.gpu, "uuid", "")) or self.gpu.name
        self.flush: Callable[[], Any] = bench.flush[: 2 * self.gpu.L2_cache_size].zero_
        self.clock = DeviceClock(self.flush)

    def measure(self) -> dict[str, Any]:
        clock = Clock()

        def mark(part: str) -> None:
            clock.mark(part)
            self.bench.give_way()

        places, runners = self._place()
        self.facts["floor_us"] = self._floor_us()
        mark("place")
        with fault_boundary(), seeded(self.job.case.seed):
            mine = [lane for placed in places for lane in self._candidate(placed, again=placed is not places[0])]
            torch.cuda.synchronize()  # what the candidate broke shows here
        mark("capture")
        baselines = {name: lanes for name in self._asked() if (lanes := self._baseline(name, runners))}
        settle(runners)
        mark("baselines")
        with fault_boundary(), seeded(self.job.case.seed):
            tracks = self._race(mine, baselines)
        measured = self._measured(tracks, baselines)
        mark("race")
        found = {**self.known, **measured}
        if self.protocol.baselines[0] not in found:
            raise InfraError(f"there is nothing to compare with: {'; '.join(self.notes)}")
        self.facts |= self._spent(tracks, len(places), len(mine)) | {
            "eager_wall_us": self._wall_us(runners[0]) if "eager" in measured else None,
        }
        clean = intact(runners, self.bench.disturbed())
        # Graphs and references go: judging a large case needs their memory.
        mine.clear()
        baselines.clear()
        runners.clear()
        verdict = self._verdict(places, clean)
        clock.mark("verdict")
        self.facts["part_seconds"] = {name: round(value, 5) for name, value in clock.seconds.items()}
        return {
            **verdict, "candidate_us": _rounded(tracks["candidate"].lanes),
            "baseline_us": {name: _rounded(found[name]) for name in self.protocol.baselines if name in found},
            "measured": list(measured), "facts": self.facts, "notes": self.notes,
        }  # fmt: skip

    # -- who runs, and where -------------------------------------------------------------------------------------------

    def _place(self) -> tuple[list[Placed], list[Runner]]:
        """The candidate's buffers and the reference with its inputs, at as many places as asked and as fit."""
        given = self.bench.cases.given(self.job.task, self.job.case)
        case = replace(self.job.case, seed=self.job.case.seed + OTHER_SEED)
        reference = self.bench.materials(replace(self.job, case=case))
        theirs = given_by(reference)
        held = sum(tensor.untyped_storage().nbytes() for tensor in (*theirs.inputs, *theirs.state.values()))
        need = sum(buffer.nbytes for buffer in self.job.plan.buffers) + 3 * held
        free, _ = torch.cuda.mem_get_info(self.bench.device)
        wanted = self.protocol.captures if self.graphs and not self._is_long(reference) else 1
        count = max(1, min(wanted, int(MOST_MEMORY * free // max(need, 1))))
        if count < wanted:
            self.notes.append(f"captured at {count} of {wanted} places in memory: more do not fit")
        places = []
        for number in range(count):
            self.bench.give_way()
            places.append(self.replay.place(given, POISONS[0], shift=number * SHIFT))
        if self.replay.picks:
            with self.bench.alone(), fault_boundary(), seeded(self.job.case.seed):
                self.replay.tune(places[0])
            places[0].reset(given, POISONS[0])
        wipe(given.inputs)
        del given
        self.bench.cases.clear()
        runners = [Runner(reference, number) for number in range(count)]
        watch(runners)
        return places, runners

    def _candidate(self, placed: Placed, *, again: bool) -> list[Lane]:
        packed = self.job.task.policy.packed_weights
        clean = Clean(placed, keep_prologue=packed)
        placed.run()
        clean()

        def prepare() -> None:
            clean()
            self.flush()

        return self._lanes("the candidate", prepare, lambda: placed.run(prologue=not packed), again=again)

    def _is_long(self, reference: Materials) -> bool:
        """Whether a run takes so long that where its memory lies does not matter; tried where the case is large."""
        if self.job.large is None:
            return False
        torch.cuda.synchronize()
        began = time.perf_counter()
        with torch.no_grad():
            reference.model(*reference.inputs)
        torch.cuda.synchronize()
        return time.perf_counter() - began > LONG_S

    def _asked(self) -> list[str]:
        """Baselines to run: those without known times, and the eager one to see whether its known times hold."""
        return [name for name in self.protocol.baselines if name == "eager" or name not in self.known]

    def _baseline(self, name: str, runners: Sequence[Runner]) -> list[Lane]:
        """The reference at all places; [] where it cannot be compiled, which is noted."""
        if name not in ("eager", "compiled"):
            raise InfraError(f"there is no baseline {name!r}", remedy="Use `eager`, `compiled` or both.")
        works = [runner.compiled() if name == "compiled" else runner for runner in runners]
        if name == "compiled":
            try:
                works[0]()
            except Exception as error:  # noqa: BLE001 - a compiler's failures are of every kind, and none is the candidate's
                self.notes.append(f"no compiled baseline: {type(error).__name__}: {str(error).strip()[:160]}")
                return []
        who, seldom, lanes = f"the baseline `{name}`", name in self.known, list[Lane]()
        for number, work in enumerate(works):
            if number:
                work()  # what the reference changes is known when each has run (`Runner.settle`)
            lanes += self._lanes(who, self.flush, work, again=number > 0, seldom=seldom)
        return lanes

    def _lanes(
        self, who: str, prepare: Callable[[], Any], work: Callable[[], Any], *, again: bool, seldom: bool = False
    ) -> list[Lane]:
        """The work as captured graphs; as it is where the protocol wants it so, or where it cannot be captured.

        `again`: the same was captured at another place, and has run here. `seldom`: few runs of it are taken.
        """
        self.bench.give_way()
        if not self.graphs or who in self.uncaptured:
            work()
            return [Lane(work, prepare)]
        floor_us = self.facts["floor_us"]
        lanes = captures(prepare, work, floor_us, self.protocol, again=again, seldom=seldom)
        if not isinstance(lanes, str):
            return lanes
        self.uncaptured.add(who)
        self.notes.append(f"{who} was timed uncaptured: {lanes}")
        return [Lane(work, prepare)]

    # -- the clock -----------------------------------------------------------------------------------------------------

    def _race(self, mine: list[Lane], baselines: Mapping[str, list[Lane]]) -> dict[str, Track]:
        """Samples of all contestants."""
        trials = self.protocol.trials
        entrants = [Contestant("candidate", mine, trials)]
        for name, lanes in baselines.items():
            entrants.append(Contestant(name, lanes, min(trials, DRIFT_RUNS) if name in self.known else trials))
        taken = in_turn(self.bench.alone, self.gpu_name, entrants, self.protocol, self.clock)
        self.facts |= taken.facts
        self.notes += taken.notes
        return taken.tracks

    def _measured(self, tracks: Mapping[str, Track], baselines: Mapping[str, list[Lane]]) -> dict[str, Samples]:
        """Samples of the baselines that were measured now; a known one that has drifted is measured again."""
        measured = {name: tracks[name].lanes for name in baselines if name not in self.known}
        if "eager" in self.known and "eager" in baselines:
            drift = drifted(self.known["eager"], tracks["eager"].lanes, self.protocol.trim)
            self.facts["drift"] = round(drift, 4)
            if drift:
                self.notes.append(f"the eager baseline has drifted by {drift:+.1%} and was measured again")
                again = Contestant("eager", baselines["eager"], self.protocol.trials)
                with self.bench.alone(), alone_on(self.gpu_name, 10.0):
                    measured["eager"] = race([again], self.protocol, self.clock)["eager"].lanes
        return measured

    def _spent(self, tracks: Mapping[str, Track], places: int, lanes: int) -> dict[str, Any]:
        """What the clock took: runs of the candidate, and how long the GPU was at it."""
        candidate = tracks["candidate"]
        return {
            "trials": candidate.count, "warmup": candidate.warmup,
            "captures": places if self.graphs else 0, "graphs": lanes if self.graphs else 0, "process": os.getpid(),
            "gpu_ms": round(sum(track.spent_us for track in tracks.values()) / 1e3, 3),
            "gpu_ms_candidate": round(candidate.spent_us / 1e3, 3),
        }  # fmt: skip

    def _wall_us(self, runner: Runner) -> float | None:
        with self.bench.alone():
            return wall_us(runner)

    # -- what was timed, was it right? ---------------------------------------------------------------------------------

    def _verdict(self, places: list[Placed], clean: bool) -> dict[str, Any]:
        """Status and reason of the last timed runs: their outputs, and the memory beside them. Lets go of `places`."""
        if not clean:
            reason = "a kernel wrote to memory that it was not given, while it was timed"
            return {"status": Status.CHEATED, "reason": reason, "replace_worker": True}
        places[1:] = [placed for placed, other in zip(places[1:], unlike_first(places), strict=True) if other]
        self.bench.give_way()
        if self.job.large is not None:
            torch.cuda.empty_cache()
        for placed in places:
            got = [output.clone() for output in placed.outputs()]
            answer = self.bench.judge(self.job, placed, got)
            wipe(got)
            if answer["status"] != Status.PASSED:
                return {"status": answer["status"], "reason": f"the output of a timed run: {answer['reason']}"}
        return {"status": Status.PASSED, "reason": ""}

    def _floor_us(self) -> float | None:
        """The least time in which what the plan is given and gives can be moved: inputs and weights from memory, and of
        the outputs what the cache cannot keep. None where the device does not tell its bandwidth."""
        clock, bus = getattr(self.gpu, "memory_clock_rate", 0), getattr(self.gpu, "memory_bus_width", 0)
        if not clock or not bus:
            return None
        bandwidth = 2e3 * clock * bus / 8  # kHz, bits; two transfers a cycle
        plan = self.job.plan
        touched = {ref.buffer for ref in tensors_in([plan.prologue, plan.steps])}
        given = {ref.buffer: ref for ref in (*plan.inputs, *plan.parameters.values()) if ref.buffer in touched}
        outputs = {ref.buffer: ref for ref in plan.outputs if isinstance(ref, TensorRef)}
        moved = _bytes(given.values()) + max(0, _bytes(outputs.values()) - self.gpu.L2_cache_size)
        return round(moved / bandwidth * 1e6, 3)


def _bytes(refs: Any) -> int:
    return sum(math.prod(ref.shape) * DTYPES[ref.dtype] for ref in refs)


def _rounded(lanes: Samples) -> Samples:
    return [[round(us, 3) for us in lane] for lane in lanes]


def unlike_first(places: Sequence[Placed]) -> list[bool]:
    """For the places after the first, whether a guard zone or an output there is not as at the first; waits for the
    device once. The first is judged in any case, and what is like it need not be."""
    first = places[0].outputs()
    flags = []
    for placed in places[1:]:
        disturbed = placed.arena.disturbed()
        pairs = list(zip(placed.outputs(), first, strict=True))
        found = [torch.as_tensor(flag, device=disturbed.device) for flag in differences(pairs)]
        flags.append(torch.stack([disturbed, *found]).any())
    return list(map(bool, torch.stack(flags).tolist())) if flags else []
