"""Checking a plan on the device: what the replay worker does with one job. Timing it is `replay.timing`'s.

The order matters. When the candidate's kernels run, nothing of ours is mapped but the arena with what it is given, and
the flush buffer; what they must compute comes to the device only after they have ended, and is overwritten before its
memory is freed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from tritonrl_core.bench.plan.flow import right_only_by_launches
from tritonrl_core.bench.plan.schema import tensors_in
from tritonrl_core.bench.record.recordings import case_values
from tritonrl_core.bench.references.reference import Materials
from tritonrl_core.bench.replay.cases import Cases, differing, same_bits
from tritonrl_core.bench.replay.cuda_driver import CudaError
from tritonrl_core.bench.replay.device_memory import POISONS, wipe
from tritonrl_core.bench.replay.job import Job, ReadPlan
from tritonrl_core.bench.replay.replayer import Placed, Replay
from tritonrl_core.bench.replay.shelf import Shelf
from tritonrl_core.bench.replay.verdict import Left, closely, plainly
from tritonrl_core.bench.timing.facts import aten_bytes, has_atomics, share
from tritonrl_core.bench.walk import given_by, seeded
from tritonrl_core.errors import InfraError
from tritonrl_core.types import InputCase, Status, Task

__all__ = ["Bench", "DeviceFaultError", "Job", "fault_boundary", "given_by", "same_bits"]

FLUSH_BYTES = 256 << 20
"""Written before each timed run so that no input is left in the L2 cache; larger than any cache of today's."""

MOST_VALUES = 64 << 20
"""Bytes of a case that are sent to a recording that asks for values."""

GLANCE = True
"""Whether a verdict is first looked for with one question to the device instead of one after the other."""

LOADED_PLANS = 8
"""Plans whose kernels stay loaded: a candidate's next case comes soon, and often to the same worker."""


class DeviceFaultError(Exception):
    """The candidate's kernels broke the context: this process cannot go on."""


class Bench:
    """One GPU: cases, loaded kernels and the flush buffer. One job at a time."""

    def __init__(self, device: torch.device, shelf: Shelf | None = None) -> None:
        """`shelf` is where cases are kept, for all workers of the GPU; without it, for this one."""
        self.device = device
        self.cases = Cases(device, shelf)
        self.alone: Callable[[], AbstractContextManager[None]] = nullcontext
        """Opened around what is timed: no other job has the GPU meanwhile."""
        self.give_way: Callable[[], object] = lambda: None
        """Called between the parts of a job: whoever waits to have the GPU alone goes first."""
        self._replays: OrderedDict[str, Replay] = OrderedDict()
        # On the CPU, where only plans without launches can be replayed, nothing is timed and nothing flushed.
        self.flush = torch.zeros(FLUSH_BYTES if device.type == "cuda" else 1, dtype=torch.uint8, device=device)

    def check(self, job: Job) -> dict[str, Any]:
        """Run the plan and compare: fields of a case's result. Raises `DeviceFaultError` and what references raise."""
        clock = Clock()
        replay = self.replay(job)
        clock.mark("load")
        given = self.cases.given(job.task, job.case)
        clock.mark("inputs")
        self.give_way()
        placed = replay.place(given, POISONS[0], guarded=True)
        wipe(given.inputs)
        del given
        self.cases.clear()
        clock.mark("place")
        used = Used(self.device, outside=self.flush.numel())
        self._run(job, placed)
        running = used.most()
        clock.mark("run")
        self.give_way()
        got = [output.clone() for output in placed.outputs()]
        answer = self.judge(job, placed, got, clock)
        if answer["status"] == Status.PASSED and not right_only_by_launches(job.plan):
            answer["withheld_right"] = self._right_without_launches(job, placed)
            clock.mark("withheld")
        again = {}
        if answer["status"] == Status.PASSED and has_atomics(job.plan):
            again = {"deterministic": self._same_again(job, placed, got)}
            clock.mark("again")
        answer["facts"] = {**facts(replay), **placed.room(), **again, "bytes_while_running": running,
                           "bytes_at_most": used.most()}  # fmt: skip
        wipe(got)
        if not self.resident_intact():
            answer |= {"status": Status.CHEATED, "reason": "a kernel wrote to memory that it was not given"}
            answer["replace_worker"] = True
        clock.mark("after")
        answer["seconds"] = clock.seconds
        return answer

    def values(self, task: Task, case: InputCase) -> bytes:
        """A case's values as this device makes them. Raises `InfraError` where they are too many to send."""
        materials = self.cases.materials(task, case)
        tensors = [*given_by(materials).inputs, *given_by(materials).init_inputs, *materials.state.values()]
        if sum(int(tensor.untyped_storage().nbytes()) for tensor in tensors) > MOST_VALUES:
            raise InfraError(f"more than {MOST_VALUES} bytes of values are asked for")
        values = case_values(materials)
        self.clear(materials)
        return values

    def materials(self, job: Job) -> Materials:
        """The reference with the case's tensors, on the device."""
        return self.cases.materials(job.task, job.case)

    def clear(self, materials: Materials) -> None:
        """Overwrite inputs and give all of the reference's memory back: a pointer into it is a fault from then on."""
        wipe(given_by(materials).inputs)
        del materials
        self.cases.clear()

    def replay(self, job: Job) -> Replay:
        """The job's kernels, loaded; those of the last few plans stay so."""
        known = self._replays.pop(job.key, None) if job.key else None
        if known is None:
            known = Replay(job.plan, job.built, self.device)
        if job.key:
            self._replays[job.key] = known
            while len(self._replays) > LOADED_PLANS:
                self._replays.popitem(last=False)[1].close()
        return known

    def known(self, key: str) -> ReadPlan | None:
        """The plan that is loaded under this key."""
        found = self._replays.get(key)
        return None if found is None else (found.plan, found.built)

    def judge(
        self, job: Job, placed: Placed, got: list[torch.Tensor], clock: Clock | None = None, *, guarded: bool = True
    ) -> dict[str, Any]:
        """Compare outputs, and inputs and parameters as the run left them; `guarded`: the guard zones too."""
        clock = clock or Clock()
        outside = placed.arena.disturbed() if guarded else torch.zeros((), dtype=torch.bool, device=self.device)
        answers = self.cases.answers(job.task, job.case, double=job.large is None or job.large.double)
        clock.mark("answers")
        others: list[list[torch.Tensor]] = []

        def nearby() -> list[list[torch.Tensor]]:
            others[:] = others or self.cases.materials(job.task, job.case).nearby()
            return others

        try:
            left = Left(job, placed, [out.to(self.device) for out in got], answers, outside)
            return (plainly(left) if GLANCE else None) or closely(left, nearby)
        finally:
            answers.wipe()
            wipe([tensor for outputs in others for tensor in outputs])
            clock.mark("compare")

    def resident_intact(self) -> bool:
        """Whether what is mapped while kernels run, and was not given to them, is as it was."""
        return not bool(self.disturbed())

    def disturbed(self) -> torch.Tensor:
        """The opposite, still on the device."""
        return (self.flush.view(torch.int64) if self.flush.numel() > 1 else self.flush).any()

    def _run(self, job: Job, placed: Placed) -> None:
        replay = placed.replay
        with fault_boundary(), seeded(job.case.seed):
            if job.pick >= 0:
                replay.choose(job.pick)
            elif replay.picks and not replay.tuned:
                replay.tune(placed)
                self._refill(job, placed)
            placed.run()
            if self.device.type == "cuda":
                torch.cuda.synchronize()

    def _refill(self, job: Job, placed: Placed, poison: int = POISONS[0]) -> None:
        given = self.cases.given(job.task, job.case)
        placed.reset(given, poison)
        wipe(given.inputs)
        del given
        self.cases.clear()

    def _same_again(self, job: Job, placed: Placed, got: list[torch.Tensor]) -> bool:
        """Whether a second run on the same inputs leaves the same outputs, bit for bit."""
        self._refill(job, placed)
        with fault_boundary(), seeded(job.case.seed):
            placed.run()
        pairs = zip(placed.outputs(), got, strict=True)  # a number that Python gave back is on no device
        return not any(differing([pair for pair in pairs if pair[0].device.type == self.device.type]))

    def _right_without_launches(self, job: Job, placed: Placed) -> bool:
        """Whether the output is right, under both poisons, when no kernel of the candidate's runs."""
        for poison in POISONS:
            self._refill(job, placed, poison)
            with fault_boundary(), seeded(job.case.seed):
                try:
                    placed.run(launches=False)
                except CudaError:
                    raise
                except Exception:  # noqa: BLE001 - an ATen call that fails on poison is not right
                    return False
            got = [output.clone() for output in placed.outputs()]
            if self.judge(job, placed, got, guarded=False)["status"] != Status.PASSED:
                return False
        return True


class fault_boundary:  # noqa: N801 - a context that reads as a phrase
    """Turns errors of the device into `DeviceFaultError`. Memory that runs out passes through."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, torch.OutOfMemoryError):
            return
        if isinstance(error, CudaError) or "CUDA error" in str(error) or "CUDA driver error" in str(error):
            raise DeviceFaultError(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class Used:
    """How much memory of the device is in use at most, from now on, beside `outside`; 0 where nobody counts."""

    def __init__(self, device: torch.device, outside: int) -> None:
        self._device, self._outside = device, outside
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def most(self) -> int:
        """Bytes so far."""
        return torch.cuda.max_memory_allocated(self._device) - self._outside if self._device.type == "cuda" else 0


class Clock:
    """Seconds by part of a job."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, name: str) -> None:
        """What passed since the last mark is this part's."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def facts(replay: Replay) -> Mapping[str, Any]:
    """What this device adds to what is known of a plan (`bench.facts`): traffic at the least, and the driver's word on
    registers and on memory that a thread spills into.
    """
    plan, kernels = replay.plan, replay.kernels
    touched = {ref.buffer for ref in tensors_in([plan.steps, plan.outputs])}
    unique = sum(plan.buffers[number].nbytes for number in touched)
    return {
        "unique_bytes": unique,
        "aten_share": share(aten_bytes(plan), unique),
        "registers": max((kernel.registers for kernel in kernels), default=0),
        "local_bytes": max((kernel.local_bytes for kernel in kernels), default=0),
    }
