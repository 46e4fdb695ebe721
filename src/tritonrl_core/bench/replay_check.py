"""Checking a plan on the device: what the replay worker does with one job. Timing it is `replay_time`'s.

The order matters. Inputs are made, copied into the arena and freed; then the candidate's kernels run, with nothing of
ours mapped but the arena and the flush buffer; only then are inputs and state made anew and the reference run. Expected
outputs are overwritten before their memory is freed.
"""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tritonrl_core.bench.compile_request import CompiledKernel
from tritonrl_core.bench.cuda_driver import CudaError
from tritonrl_core.bench.device_memory import POISONS, wipe
from tritonrl_core.bench.flow import written_by_aten
from tritonrl_core.bench.plan import LaunchPlan, TensorRef, tensors_in
from tritonrl_core.bench.recordings import case_values
from tritonrl_core.bench.reference import Materials, Reference
from tritonrl_core.bench.references import named_inputs
from tritonrl_core.bench.replayer import Given, Placed, Replay, seeded
from tritonrl_core.bench.tolerance import Comparison, compare
from tritonrl_core.errors import InfraError
from tritonrl_core.types import InputCase, Stage, Status, Task

FLUSH_BYTES = 256 << 20
"""Written before each timed run so that no input is left in the L2 cache; larger than any cache of today's."""


MOST_VALUES = 64 << 20
"""Bytes of a case that are sent to a recording that asks for values."""


class DeviceFaultError(Exception):
    """The candidate's kernels broke the context: this process cannot go on."""


@dataclass(frozen=True)
class Job:
    """One plan for one case, with binaries in the order of its kernels (None where one did not compile)."""

    task: Task
    case: InputCase
    plan: LaunchPlan
    built: Sequence[CompiledKernel | None]
    criterion: str = "default"
    precision: str = "ieee"


class Bench:
    """One GPU: references by task and the flush buffer. One job at a time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._references: dict[str, Reference] = {}
        # On the CPU, where only plans without launches can be replayed, nothing is timed and nothing flushed.
        self.flush = torch.zeros(FLUSH_BYTES if device.type == "cuda" else 1, dtype=torch.uint8, device=device)

    def check(self, job: Job) -> dict[str, Any]:
        """Run the plan and compare: fields of a case's result. Raises `DeviceFaultError` and what references raise."""
        clock = _Clock()
        replay, placed = self.place(job, clock)
        try:
            with fault_boundary(), seeded(job.case.seed):
                replay.tune(placed)
                if replay.picks:
                    self._refill(job, placed)
                placed.run()
                if self.device.type == "cuda":
                    torch.cuda.synchronize()
            clock.mark("run")
            got = [output.clone() for output in placed.outputs()]
            guards = placed.arena.guards_hold()
            clock.mark("guards")
            answer = self.judge(job, placed, got, guards, clock=clock)
            clock.mark("compare")
            if answer["status"] == Status.PASSED and could_be_right_without_launches(job.plan):
                answer["withheld_right"] = self._right_without_launches(job, placed)
            clock.mark("withheld")
            answer["facts"] = facts(replay)
            answer["seconds"] = clock.seconds
            wipe(got)
        finally:
            replay.close()
        if not self.resident_intact():
            answer |= {"status": Status.CHEATED, "reason": "a kernel wrote to memory that it was not given"}
            answer["replace_worker"] = True
        clock.mark("after")
        return answer

    def values(self, task: Task, case: InputCase) -> bytes:
        """A case's values as this device makes them. Raises `InfraError` where they are too many to send."""
        materials = self._reference(task).materialise(case, self.device)
        tensors = [*given_by(materials).inputs, *given_by(materials).init_inputs, *materials.state.values()]
        if sum(int(tensor.untyped_storage().nbytes()) for tensor in tensors) > MOST_VALUES:
            raise InfraError(f"more than {MOST_VALUES} bytes of values are asked for")
        values = case_values(materials)
        self.clear(materials)
        return values

    def _reference(self, task: Task) -> Reference:
        if task.key not in self._references:
            if len(self._references) > 256:
                self._references.clear()
            self._references[task.key] = Reference(task)
        return self._references[task.key]

    def materials(self, job: Job) -> Materials:
        return self._reference(job.task).materialise(job.case, self.device)

    def place(self, job: Job, clock: _Clock | None = None) -> tuple[Replay, Placed]:
        """Load the kernels, put the inputs in the arena, and leave nothing else on the device."""
        clock = clock or _Clock()
        replay = Replay(job.plan, job.built, self.device)
        clock.mark("load")
        try:
            materials = self.materials(job)
            clock.mark("inputs")
            placed = replay.place(given_by(materials), POISONS[0])
            clock.mark("place")
            self.clear(materials)
            clock.mark("clear")
        except BaseException:
            replay.close()
            raise
        return replay, placed

    def _refill(self, job: Job, placed: Placed, poison: int = POISONS[0]) -> None:
        materials = self.materials(job)
        placed.reset(given_by(materials), poison)
        self.clear(materials)

    def clear(self, materials: Materials) -> None:
        """Give all of the reference's memory back to the driver: a pointer into it is a fault from then on."""
        wipe(given_by(materials).inputs)
        del materials
        gc.collect(0)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def judge(
        self, job: Job, placed: Placed, got: list[torch.Tensor], guards: bool, last_of_many: bool = False,
        clock: _Clock | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        if not guards:
            return _answer(Comparison(False, None, reason="memory beside its tensors was written to"))
        clock = clock or _Clock()
        materials = self.materials(job)
        clock.mark("inputs again")
        expected, native = materials.expected("fp64"), materials.expected("native")
        clock.mark("reference")
        try:
            changed = self._changes(job, placed, materials)
            clock.mark("changes")
            if changed and not last_of_many:
                return _answer(Comparison(False, None, reason=changed))
            got = [out.to(self.device) for out in got]
            compared = compare(
                got, expected, native, job.task, job.case, criterion=job.criterion, precision=job.precision
            )
            return _answer(compared)
        finally:
            wipe([*expected, *native])
            self.clear(materials)

    def _changes(self, job: Job, placed: Placed, materials: Materials) -> str:
        """Inputs and parameters that the candidate changed and the reference does not (or not so), in words."""
        named = named_inputs(materials.inputs)
        now: dict[str, torch.Tensor] = {}
        before: dict[str, torch.Tensor] = {}
        for ref, (name, tensor) in zip(job.plan.inputs, named.items(), strict=True):
            now[name], before[name] = placed.tensor(ref), tensor
        for name, ref in job.plan.parameters.items():
            if name not in job.task.mutated_buffers:
                now[f"parameter {name}"], before[f"parameter {name}"] = placed.tensor(ref), materials.state[name]
        changed = [name for name in now if not same_bits(now[name], before[name].to(now[name].dtype))]
        if not changed:
            return ""
        after = _after_reference(materials)
        wrong = [name for name in changed if name not in after or not _close(now[name], after[name])]
        names = ", ".join(wrong).replace("input ", "its input ", 1)
        return f"changed {names}, which the reference leaves alone" if wrong else ""

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
            if self.judge(job, placed, got, guards=True)["status"] != Status.PASSED:
                return False
        return True

    def resident_intact(self) -> bool:
        return not bool(self.flush.any())


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


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, name: str) -> None:
        """What passed since the last mark is this part's."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def given_by(materials: Materials) -> Given:
    """What a case brings, in the order in which a recording counts it."""
    return Given(
        list(named_inputs(materials.inputs).values()),
        list(named_inputs(materials.init_inputs).values()),
        materials.state,
    )


def could_be_right_without_launches(plan: LaunchPlan) -> bool:
    """False where some output lies in memory that only launches write: without them it is poison."""
    written = {buffer for call in plan.aten_calls(prologue=True) for buffer in written_by_aten(call)}
    for output in plan.outputs:
        if (
            isinstance(output, TensorRef)
            and plan.buffers[output.buffer].role == "alloc"
            and output.buffer not in written
        ):
            return False
    return True


def _answer(compared: Comparison) -> dict[str, Any]:
    status = Status.PASSED if compared.ok else Status.WRONG
    worst = None if compared.worst is None else asdict(compared.worst)
    return {"status": status, "stage": Stage.FULL, "reason": compared.reason, "error": compared.error, "worst": worst}


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal bit for bit, so that NaN equals itself."""
    mine, theirs = (tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other))
    return bool(torch.equal(mine, theirs))


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return compare([one], [other.double()], [other]).ok


def _after_reference(materials: Materials) -> dict[str, torch.Tensor]:
    """Inputs and state after the reference's forward, by name; only what it changed."""
    model, inputs = copy.deepcopy((materials.model, materials.inputs))
    with torch.no_grad():
        model(*inputs)
    now = {**named_inputs(inputs), **{f"parameter {name}": value for name, value in model.state_dict().items()}}
    state = {f"parameter {name}": value for name, value in materials.state.items()}
    before = {**named_inputs(materials.inputs), **state}
    return {name: value for name, value in now.items() if not same_bits(value, before[name])}


def facts(replay: Replay) -> Mapping[str, Any]:
    """What is known of a plan after it has run: counts, sizes in bytes, registers, shared memory."""
    plan = replay.plan
    touched = {ref.buffer for ref in tensors_in([plan.steps, plan.outputs])}
    kernels = replay.kernels
    return {
        "launch_count": len(plan.launches()),
        "kernels": len(plan.kernels),
        "aten_calls": len(plan.aten_calls()),
        "unique_bytes": sum(plan.buffers[number].nbytes for number in touched),
        "peak_bytes": sum(buffer.nbytes for buffer in plan.buffers),
        "registers": max((kernel.registers for kernel in kernels), default=0),
        "spill_bytes": max((kernel.local_bytes for kernel in kernels), default=0),
        "shared_bytes": max((kernel.kernel.shared for kernel in kernels), default=0),
    }
