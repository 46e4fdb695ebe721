"""What happens to a candidate before a device is needed: record, check the rules, compile. The same on every bench.

For the trusted side. A `Ready` plan may be replayed; anything else is a `Stop` with status, stage and reason.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Protocol

from tritonrl_core.bench.aten import operators, watch
from tritonrl_core.bench.compile.alternatives import without_failures
from tritonrl_core.bench.compile.binaries import Binaries
from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.plan.check import PlanLimits
from tritonrl_core.bench.plan.flow import UNTOUCHED, beyond_following, unearned_output
from tritonrl_core.bench.plan.schema import AtenCall, LaunchPlan, every_step
from tritonrl_core.bench.record.recordings import Recording, Recordings
from tritonrl_core.bench.record.request import RecordFailure
from tritonrl_core.bench.rules.answers import computed_in_python, given, with_other_values
from tritonrl_core.bench.rules.lazy_outputs import left_to_the_reader, reference_outputs
from tritonrl_core.bench.rules.moved_data import Work, reference_work
from tritonrl_core.bench.rules.sizing import more_than_sizes
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, InputCase, Limits, Stage, Status, Task, content_key

MakeCases = Callable[[Task, CaseRequest], list[InputCase]]
CaseValues = Callable[[Task, InputCase], bytes]

DEFAULT_MEMORY = 24 << 30
"""What a plan's buffers may take, in bytes, where the spec names no figure."""


MOST_MEMORY = 4 << 30
"""What one candidate may use on the CPU, in bytes, where the machine has plenty."""

YIELDS = False
"""Whether beside a GPU recorders and compilers run only where nothing else wants to, so that whoever waits for the GPU
has a core at once. Off until its gain is measured."""

PATIENCE = 4
"""So many times as long a recording or compilation may take by the clock where it yields: its CPU time is limited as
ever, and how long others keep the cores is not the candidate's doing. One that sleeps is waited for as long."""

SPOT_CHECKS = 0.02
"""Share of plans that are recorded a second time and compared."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A verdict before anything ran on the device."""

    status: Status
    stage: Stage
    reason: str
    sandbox: str = "none"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A plan that keeps the rules and is not compiled yet, the isolation it was made under and how long it took."""

    plan: LaunchPlan
    sandbox: str
    seconds: float

    @property
    def for_one_case(self) -> bool:
        """Whether values were read back: then the plan is for these values and no others."""
        return reads_values(self.plan)


@dataclass(frozen=True, slots=True)
class Ready:
    """A plan that may be replayed, with its binaries in the order of its kernels."""

    plan: LaunchPlan
    built: tuple[CompiledKernel | None, ...]
    sandbox: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def for_one_case(self) -> bool:
        """Whether values were read back: then the plan is for these values and no others."""
        return reads_values(self.plan)


class Prepares(Protocol):
    """What a bench asks of whoever records and compiles for it: `Preparation`, or one that is elsewhere."""

    def prepare(
        self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()
    ) -> Ready | Stop: ...

    def record(
        self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()
    ) -> Recorded | Stop: ...

    def build(self, recorded: Recorded, *, whole: bool = True) -> Ready | Stop: ...

    def sandbox(self) -> str: ...

    def close(self) -> None: ...


class Preparation:
    """Recorders and compilers of one bench. Safe to use from many threads; close it to end its workers."""

    def __init__(
        self, spec: BenchSpec, gpu: GpuProperties, make_cases: MakeCases, values: CaseValues | None = None
    ) -> None:
        """`values` makes a case's values as the device that replays will make them; the CPU's where it is None."""
        self._spec = spec
        self._make_cases = make_cases
        yields = YIELDS and spec.device == "cuda"
        wall, own = spec.timeout_s * (PATIENCE if yields else 1), memory_for(spec.cpu_workers)
        limits = Limits(wall_s=wall, cpu_s=spec.timeout_s + 1, memory_bytes=own, output_bytes=20 << 20)
        memory = spec.gpu_memory_bytes or min(DEFAULT_MEMORY, gpu.memory_bytes // 2)
        self._recordings = Recordings(
            gpu, spec.cpu_workers, limits, PlanLimits(memory_bytes=memory), spec.worker_preset, yields=yields
        )
        self._binaries = Binaries(gpu, spec.cpu_workers, limits, spec.worker_preset, yields=yields)
        self._values = values or self._recordings.values
        self._works: dict[str, Work] = {}
        self._draw = random.Random()
        self.spot_checks = SPOT_CHECKS
        self._lock = threading.Lock()

    def prepare(
        self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()
    ) -> Ready | Stop:
        """Record and compile for one case. Raises `TaskError` for a broken reference, `InfraError` for our faults."""
        recorded = self.record(task, candidate, case, ahead)
        return recorded if isinstance(recorded, Stop) else self.build(recorded)

    def record(
        self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()
    ) -> Recorded | Stop:
        """Record for one case and check the rules; nothing is compiled. Raises as `prepare` does.

        `ahead` are cases of other signatures that will be asked for if this one goes well.
        """
        others = self._make_cases(task, CaseRequest(count=3, shapes=True)) if task.vary else []
        recording = self._recordings.first(task, candidate, case, others, ahead)
        if isinstance(recording.plan, RecordFailure) and recording.plan.needs_values:
            recording = self._with_values(task, candidate, case)
        if isinstance(recording.plan, RecordFailure):
            failure = recording.plan
            return Stop(failure.status, failure.stage, failure.reason, recording.sandbox)
        plan = recording.plan
        stop = self._broken_rule(task, case, plan)
        if stop is None and self._draw.random() < self.spot_checks:
            stop = self.recheck(task, candidate, case, plan)
        if stop is not None:
            return replace(stop, sandbox=recording.sandbox)
        return Recorded(plan, recording.sandbox, recording.seconds)

    def build(self, recorded: Recorded, *, whole: bool = True) -> Ready | Stop:
        """Compile what was recorded; not `whole`: only to see that it compiles and fits the target (no binaries)."""
        built = self._binaries.build(recorded.plan.kernels, recorded.plan.triton, whole=whole)
        plan, reason = without_failures(recorded.plan, built)
        if reason:
            return Stop(Status.BUILD_ERROR, Stage.COMPILE, reason, recorded.sandbox)
        kernels = tuple(part if isinstance(part, CompiledKernel) else None for part in built)
        compiling = sum(kernel.seconds for kernel in kernels if kernel is not None)
        return Ready(plan, kernels, recorded.sandbox, {"record": recorded.seconds, "compile": compiling})

    def recheck(self, task: Task, candidate: Candidate, case: InputCase, plan: LaunchPlan) -> Stop | None:
        """Record again from the text, in a fresh child: a plan that was forged, or that changes by itself, differs."""
        again = self._recordings.record(task, candidate, case)
        if isinstance(again.plan, RecordFailure) and again.plan.needs_values:
            again = self._with_values(task, candidate, case)
        if isinstance(again.plan, LaunchPlan) and (again.plan.kernels, again.plan.steps) == (plan.kernels, plan.steps):
            return None
        reason = "recorded again from its text, the candidate's launch plan is another"
        return Stop(Status.CHEATED, Stage.RECORD, reason, again.sandbox)

    def sandbox(self) -> str:
        """The isolation that candidates are recorded under."""
        return self._recordings.sandbox()

    def close(self) -> None:
        self._recordings.close()
        self._binaries.close()

    def _with_values(self, task: Task, candidate: Candidate, case: InputCase) -> Recording:
        """Record on the case's own values, and on others to see that nothing in the plan was computed from them.

        Which of the two comes first is drawn: a candidate that could leave itself a note would have to know on which
        values it will be judged.
        """
        other = replace(case, seed=case.seed + 1)
        values, others = self._values(task, case), self._values(task, other)
        pairs = [(case, values), (other, others)]
        made: dict[int, Recording] = {}
        for asked, known in pairs if self._draw.random() < 0.5 else reversed(pairs):
            made[asked.seed] = self._recordings.record(task, candidate, asked, values=known)
            if not isinstance(made[asked.seed].plan, LaunchPlan):
                return made[asked.seed]
        recording, again = made[case.seed], made[other.seed].plan
        request = self._recordings.request(task, candidate, case)
        read, reason = given(request, values), ""
        assert isinstance(recording.plan, LaunchPlan)
        assert isinstance(again, LaunchPlan)
        if read.has_lengths:
            reason = written_in_python(recording.plan, again) or more_than_sizes(recording.plan, again, read)
            others = with_other_values(request, values, others)
            mixed = self._recordings.record(task, candidate, other, values=others).plan
            if not isinstance(mixed, LaunchPlan):
                return replace(recording, plan=mixed)
            again = mixed
        reason = (
            reason
            or written_in_python(recording.plan, again)
            or computed_in_python(recording.plan, again, read, given(request, others))
        )
        if not reason:
            return recording
        status = Status.CHEATED
        if read.only_integers and not more_than_sizes(recording.plan, again, read):
            # A length, or an answer: nothing can tell.
            status = Status.UNSUPPORTED
            reason = f"{reason}; where integers are all there is, they may not size launches"
        return replace(recording, plan=RecordFailure(status, Stage.RECORD, reason))

    def _broken_rule(self, task: Task, case: InputCase, plan: LaunchPlan) -> Stop | None:
        idle = idle_launch(plan)
        if not plan.launches() and not idle:
            return Stop(Status.REJECTED, Stage.RECORD, "no Triton kernel was launched")
        lines: dict[str, int] = {}
        for call in every_step(plan, prologue=not task.policy.packed_weights):
            if isinstance(call, AtenCall) and not counts(call, plan, task):
                lines.setdefault(call.name, call.line)
        objection = watch.objection(lines, task.policy.delegation or self._spec.delegation)
        if objection:
            return Stop(Status.REJECTED, Stage.RECORD, objection)
        unknown = beyond_following(plan)
        if unknown:
            return Stop(Status.UNSUPPORTED, Stage.RECORD, unknown)
        work = self._reference_work(task)
        unearned = unearned_output(plan, computes=not work.only_moves, theirs=work.outputs)
        if not unearned:
            left = left_to_the_reader(plan, lambda: reference_outputs(task, case), only_moves=work.only_moves)
            return Stop(Status.WRONG, Stage.RECORD, left) if left else None
        if idle and (unearned.endswith(UNTOUCHED) or not plan.launches()):
            return Stop(Status.WRONG, Stage.RECORD, unearned + idle)
        if unearned.endswith(UNTOUCHED) and reads_values(plan):
            reason = f"{unearned} but by what Python read of them: whether kernels do the work cannot be told"
            return Stop(Status.UNSUPPORTED, Stage.RECORD, reason)
        return Stop(Status.CHEATED, Stage.RECORD, unearned)

    def _reference_work(self, task: Task) -> Work:
        """What the reference itself does: where it does no arithmetic, a kernel that moves data does the work."""
        with self._lock:
            key = content_key(task.source)
            if key not in self._works:
                self._works[key] = reference_work(task, self._make_cases(task, CaseRequest(count=1, small=True))[0])
            return self._works[key]


def reads_values(plan: LaunchPlan) -> bool:
    """Whether the program read values in Python while it was recorded."""
    return any(note.kind == "readback" for note in plan.notes)


def counts(call: AtenCall, plan: LaunchPlan, task: Task) -> bool:
    """Whether a call is bookkeeping that the task asks for: a counter of the reference's, such as a batch norm's."""
    outputs = [ref for ref in call.outputs if ref is not None]
    return (
        operators.base_name(call.name) == "add"
        and bool(outputs)
        and all(
            plan.buffers[ref.buffer].name in task.mutated_buffers and "int" in ref.dtype and prod(ref.shape) == 1
            for ref in outputs
        )
    )


def idle_launch(plan: LaunchPlan) -> str:
    """A launch over no programs at all, in words; "" where there is none. It explains an output that nothing wrote."""
    note = next((note for note in plan.notes if note.kind == "empty_grid"), None)
    return f": {note.text} at line {note.line}, so nothing runs" if note else ""


def written_in_python(one: LaunchPlan, other: LaunchPlan) -> str:
    """Whether the data that Python wrote into two plans of a program differs, in words; "" where it does not."""
    mine, theirs = ([buffer.data for buffer in plan.buffers if buffer.role == "constant"] for plan in (one, other))
    return "" if mine == theirs else "data written in Python depends on the values of the inputs"


def memory_for(workers: int) -> int:
    """Memory for one candidate's process: a share of half the machine's, and no more than 4 GiB."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MOST_MEMORY, machine // 2 // workers)
