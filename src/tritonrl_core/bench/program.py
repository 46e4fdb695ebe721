"""A candidate on the local CPU bench: recorded and compiled for the target, then its plan is replayed on the CPU.

A candidate's code never runs in this process, and none of it where inputs and outputs are.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tritonrl_core.bench.interpret import replay as cpu_replay
from tritonrl_core.bench.interpret.replay import Job, Outcome
from tritonrl_core.bench.plan.flow import right_only_by_launches
from tritonrl_core.bench.plan.schema import LaunchPlan, Tune, as_data, encode
from tritonrl_core.bench.prepare import MakeCases, Prepares, Ready, Recorded, Stop
from tritonrl_core.bench.processes.forkserver import ForkServer
from tritonrl_core.bench.record.ahead import Habit
from tritonrl_core.bench.references.prepared import Prepared, References
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.bench.timing import estimate, facts
from tritonrl_core.bench.timing.aten_work import aten_work
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import (
    BenchSpec,
    Candidate,
    CaseRequest,
    CaseResult,
    InputCase,
    Limits,
    Stage,
    Status,
    Task,
    Timing,
    TimingProtocol,
    content_key,
)

UNCHECKED = (
    "races between programs (one order of them is tried) or threads of one, and the order of atomics",
    "the device's own digits (fast division and functions, fused multiply-add)",
)
"""What a replay on the CPU cannot see, in every verdict that it gives."""

NOT_ASSEMBLED = "LLVM and the assembler on the kernels of other shapes and layouts than the task as written has"
"""Beside them where a case's kernels were compiled only as far as MLIR goes."""

BESIDE_FIRST, BESIDE = 1, 7
"""So many further cases of the same plan are replayed in one child: before any has passed, and after."""

SMALL_CASES = 4
"""Small cases of other values that each configuration of a tuning is tried on; the last of them has bands."""

DOUBT_CASES = 4
"""On how many more cases doing nothing must be right before the kernels count as decoration."""


@dataclass(frozen=True)
class Resources:
    """What the programs of one bench share."""

    spec: BenchSpec
    gpu: GpuProperties
    limits: Limits
    server: ForkServer
    references: References
    make_cases: MakeCases
    preparation: Callable[[], Prepares]
    habit: Habit


@dataclass(frozen=True)
class _Plan:
    """A plan that may be replayed, its bytes, and whether its kernels were compiled to the end."""

    ready: Ready
    encoded: bytes
    whole: bool


class LocalProgram:
    """One candidate for one task. Results are kept per case and criterion; safe to call from several threads."""

    def __init__(self, task: Task, candidate: Candidate, resources: Resources) -> None:
        self._task, self._candidate, self._resources = task, candidate, resources
        self._results: dict[str, CaseResult] = {}
        self._recorded: dict[str, Recorded | Stop] = {}
        self._plans: dict[str, _Plan | Stop] = {}
        self._early: dict[str, tuple[LaunchPlan, Outcome]] = {}
        self._asked: Sequence[InputCase] = ()
        self._alternatives: Outcome | None = None
        self._met = False  # whether programs that meet in memory were tried in the other order
        self._lock = threading.RLock()

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        """Cases of the task, the one most likely to fail first."""
        cases = self._resources.habit.cases(self._task, request)
        if len(cases) > 1:
            self._asked = cases
        return cases

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        """Run on one case and compare. Raises `TaskError` for a broken reference, `InfraError` for faults of ours."""
        key = _case_key(case, criterion)
        with self._lock:
            if key not in self._results:
                began = time.perf_counter()
                result = self._run(case, criterion)
                self._results[key] = replace(result, seconds=time.perf_counter() - began)
            return self._results[key]

    preview_is_kept = True

    def preview(self, case: InputCase) -> CaseResult:
        """Replay the recorded plan before it is compiled (see `types.Previews`)."""
        with self._lock:
            began = time.perf_counter()
            recorded = self._record(case)
            if isinstance(recorded, Stop):
                return replace(_stopped(case, recorded), seconds=time.perf_counter() - began)
            prepared = self._resources.references.prepare(self._task, case)
            plan = _Plan(Ready(recorded.plan, (), recorded.sandbox), encode(recorded.plan), whole=False)
            outcome = self._replay(self._job(case, plan, prepared, "default"))
            self._early[_case_key(case)] = recorded.plan, outcome
            return replace(self._judged(case, plan.ready, prepared, outcome), seconds=time.perf_counter() - began)

    def compile(self, case: InputCase) -> CaseResult:
        """Record the candidate and compile its kernels for the target; nothing runs."""
        began = time.perf_counter()
        with self._lock:
            plan = self._plan(case, whole=True)
        seconds = time.perf_counter() - began
        if isinstance(plan, Stop):
            return replace(_stopped(case, plan), seconds=seconds)
        known = self._known(plan.ready)
        return CaseResult(case, Status.PASSED, Stage.COMPILE, facts=known, sandbox=plan.ready.sandbox, seconds=seconds)

    def time(self, protocol: TimingProtocol) -> Timing:
        """Estimated times of candidate and reference on the target (see `bench.estimate`), for the task as written.

        Raises `InfraError` where the candidate does not pass, because then there is nothing to time.
        """
        case = self._resources.make_cases(self._task, CaseRequest(count=1))[0]
        result = self.run(case)
        plan = self._plan(case, whole=True)
        if result.status is not Status.PASSED or isinstance(plan, Stop):
            raise InfraError(f"only a program that passes can be timed; this one is {result.status}: {result.reason}")
        prepared = self._resources.references.prepare(self._task, case)
        work = self._work(plan.ready, result.facts["launches"])
        work = [*self._aten_work(plan.ready), *work]
        return estimate.estimate(work, prepared.eager_work, _moved(prepared), self._resources.gpu, self._task.family)

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        """The launch plan as plain data; {} where there is none."""
        with self._lock:
            plan = self._plan(case)
        return {} if isinstance(plan, Stop) else as_data(plan.ready.plan)

    def _plan(self, case: InputCase, whole: bool = False) -> _Plan | Stop:
        """The recorded and compiled plan, or why there is none; once for cases that differ in values only.

        A plan in which values were read back is for its own case only. To the end (`whole`) are compiled the kernels of
        the task as written, which are what is timed; others as far as to know that they compile and fit the target.
        """
        shared, own = content_key(case.signature), content_key(case.signature, case.distribution, case.seed)
        found = self._plans.get(shared) or self._plans.get(own)
        whole = whole or case.signature == self._written
        if found is None or (isinstance(found, _Plan) and whole and not found.whole):
            recorded = self._record(case)
            build = self._resources.preparation().build
            made = recorded if isinstance(recorded, Stop) else build(recorded, whole=whole)
            found = made if isinstance(made, Stop) else _Plan(made, encode(made.plan), whole)
            self._plans[own if isinstance(made, Ready) and made.for_one_case else shared] = found
        return found

    @cached_property
    def _written(self) -> tuple[object, ...]:
        """The signature of the task as written."""
        return self._resources.make_cases(self._task, CaseRequest())[0].signature

    def _record(self, case: InputCase) -> Recorded | Stop:
        shared, own = content_key(case.signature), content_key(case.signature, case.distribution, case.seed)
        found = self._recorded.get(shared) or self._recorded.get(own)
        if found is None:
            after = self._resources.habit.after(self._task, case)
            ahead = [item for item in after if content_key(item.signature) not in self._recorded]
            found = self._resources.preparation().record(self._task, self._candidate, case, ahead)
            self._recorded[own if isinstance(found, Recorded) and found.for_one_case else shared] = found
        return found

    def _run(self, case: InputCase, criterion: str) -> CaseResult:
        plan = self._plan(case)
        if isinstance(plan, Stop):
            return _stopped(case, plan)
        prepared = self._resources.references.prepare(self._task, case)
        job = self._job(case, plan, prepared, criterion)
        outcome = self._known_outcome(job) or self._replay_with_others(job, plan)
        if outcome.status is Status.PASSED and not right_only_by_launches(plan.ready.plan) and self._decoration(job):
            reason = "the output is as right with every Triton launch left out: the kernels do not do the work"
            outcome = replace(outcome, status=Status.CHEATED, reason=reason)
        if outcome.status is Status.PASSED and criterion == "default" and has_alternatives(plan.ready.plan):
            other = self._other_alternatives(case)
            outcome = outcome if other.status is Status.PASSED else other
        again = {}
        if outcome.status is Status.PASSED and outcome.digest and not self._met:
            self._met = True
            other = self._replay(replace(job, other_order=True))
            again = {"deterministic": other.digest == outcome.digest}
            outcome = other if other.status is Status.WRONG else outcome
        result = self._result(case, plan.ready, prepared, outcome)
        return replace(result, facts={**result.facts, **again})

    def _known_outcome(self, job: Job) -> Outcome | None:
        """How this very plan fared on this case before it was compiled, or beside another case."""
        known, outcome = self._early.get(_case_key(job.case, job.criterion), (None, None))
        return outcome if known is job.plan else None

    def _replay_with_others(self, job: Job, plan: _Plan) -> Outcome:
        """The outcome of a case; in the same child others are replayed that will be asked for if it is right."""
        jobs = [job]
        for case in self._beside(job, plan):
            with contextlib.suppress(TaskError, InfraError):  # it is told when the case is asked for
                prepared = self._resources.references.prepare(self._task, case)
                jobs.append(self._job(case, plan, prepared, job.criterion))
        outcomes = cpu_replay.replay_together(jobs, self._resources.server, self._resources.limits)
        for other, outcome in zip(jobs[1:], outcomes[1:], strict=False):
            self._early[_case_key(other.case, other.criterion)] = other.plan, outcome
        return outcomes[0]

    def _beside(self, job: Job, plan: _Plan) -> list[InputCase]:
        """Further cases that the plan is for; few of them before any case has passed."""
        if plan.ready.for_one_case:
            return []
        most = BESIDE if any(result.status is Status.PASSED for result in self._results.values()) else BESIDE_FIRST
        known = {*self._results, *self._early, _case_key(job.case, job.criterion)}
        same = [case for case in self._asked if case.signature == job.case.signature]
        return [case for case in same if _case_key(case, job.criterion) not in known][:most]

    def _job(self, case: InputCase, plan: _Plan, prepared: Prepared, criterion: str, pick: int = 0) -> Job:
        precision = self._resources.spec.precision
        return Job(self._task, case, plan.ready.plan, plan.encoded, prepared, criterion, precision, pick)

    def _replay(self, job: Job) -> Outcome:
        return cpu_replay.replay(job, self._resources.server, self._resources.limits)

    def _decoration(self, job: Job) -> bool:
        """Whether leaving all launches out is right here and on every other case too, whatever the values."""
        if not cpu_replay.right_without_launches(job, self._resources.server, self._resources.limits):
            return False
        request = CaseRequest(count=DOUBT_CASES + 1, values=True, seed=job.case.seed + 1)
        for case in self._resources.make_cases(self._task, request):
            plan = self._plan(case)
            if isinstance(plan, Stop):
                return False
            other = self._job(case, plan, self._resources.references.prepare(self._task, case), job.criterion)
            if not cpu_replay.right_without_launches(other, self._resources.server, self._resources.limits):
                return False
        return True

    def _other_alternatives(self, case: InputCase) -> Outcome:
        """The first wrong one of the configurations that the clock of a GPU might pick: on several small cases, and on
        this one where it is of the shape that is timed."""
        if self._alternatives is None:
            request = CaseRequest(count=SMALL_CASES, small=True, values=True)
            cases = [replace(small, dtype=case.dtype) for small in self._resources.make_cases(self._task, request)]
            self._alternatives = self._tried(cases)
        if self._alternatives.status is not Status.PASSED or case.signature != self._written:
            return self._alternatives
        return self._tried([case])

    def _tried(self, cases: Sequence[InputCase]) -> Outcome:
        plan = self._plan(cases[0])
        if isinstance(plan, Stop):
            return Outcome(plan.status, f"on the smallest case: {plan.reason}")
        picks = range(1, _most_variants(plan.ready.plan))
        prepared = [self._resources.references.prepare(self._task, case) for case in cases]
        whole = list(zip(cases, prepared, strict=True))[: 1 if plan.ready.for_one_case else None]
        for pick in picks:
            jobs = [self._job(case, plan, known, "default", pick) for case, known in whole]
            outcomes = cpu_replay.replay_together(jobs, self._resources.server, self._resources.limits)
            outcomes += [self._replay(job) for job in jobs[len(outcomes) :]]
            for outcome in outcomes:
                if outcome.status is not Status.PASSED:
                    return replace(outcome, reason=f"configuration {pick + 1} of @triton.autotune: {outcome.reason}")
        return Outcome(Status.PASSED)

    def _result(self, case: InputCase, ready: Ready, prepared: Prepared, outcome: Outcome) -> CaseResult:
        judged = self._judged(case, ready, prepared, outcome)
        return replace(judged, facts={**self._known(ready), **self._counted(ready, prepared, outcome), **judged.facts})

    def _judged(self, case: InputCase, ready: Ready, prepared: Prepared, outcome: Outcome) -> CaseResult:
        """What a replay comes to, without what is known of the compiled kernels."""
        compared = outcome.comparison
        reason = outcome.reason
        lost = [name for name in prepared.materials.state if name not in ready.plan.parameters]
        if outcome.status is Status.WRONG and compared is not None and compared.error is not None and lost:
            reason = f"{reason}; {_lost_story(lost)}"
        known = {"mismatch": dict(compared.facts)} if compared is not None and compared.facts else {}
        passed = outcome.status in (Status.PASSED, Status.WRONG)
        return CaseResult(
            case, outcome.status, Stage.FULL, reason, facts=known, sandbox=outcome.sandbox,
            error=None if compared is None else compared.error, worst=None if compared is None else compared.worst,
            unchecked=_unchecked(ready, outcome, prepared.materials.fp64_fallback) if passed else (),
        )  # fmt: skip

    def _known(self, ready: Ready) -> dict[str, Any]:
        known = facts.plan_facts(ready.plan, ready.built, self._resources.gpu)
        return {**known, "prepare_seconds": dict(ready.seconds)}

    def _counted(self, ready: Ready, prepared: Prepared, outcome: Outcome) -> dict[str, Any]:
        """What the machine counted, and what follows from it."""
        work = self._work(ready, outcome.launches)
        gpu, total = self._resources.gpu, sum(item.bytes for item in work)
        time_us = estimate.microseconds([*self._aten_work(ready), *work], gpu)
        floor = estimate.roofline_us(_moved(prepared), gpu)
        return {
            "unique_bytes": sum(item.unique_bytes for item in work),
            "total_bytes": total,
            "flops": sum(sum(item.flops.values()) for item in work),
            "stray_reads": sum(launch["stray_reads"] for launch in outcome.launches),
            "aten_share": facts.share(facts.aten_bytes(ready.plan), total),
            "estimated_us": time_us,
            "roofline_fraction": round(min(1.0, floor / time_us), 3) if time_us else 0.0,
            "launches": [dict(launch) for launch in outcome.launches],
        }

    def _aten_work(self, ready: Ready) -> list[estimate.Work]:
        """What PyTorch does for the candidate between its launches."""
        return aten_work(ready.plan, prologue=not self._task.policy.packed_weights)

    def _work(self, ready: Ready, launches: Sequence[Mapping[str, Any]]) -> list[estimate.Work]:
        gpu = self._resources.gpu
        return [estimate.work_of(launch, ready.built[launch["kernel"]], gpu) for launch in launches]


def _case_key(case: InputCase, criterion: str = "default") -> str:
    return content_key(case.name, case.signature, case.distribution, case.seed, criterion)


def has_alternatives(plan: LaunchPlan) -> bool:
    """Whether some step of the plan is a choice that a GPU's clock would make."""
    return _most_variants(plan) > 1


def _most_variants(plan: LaunchPlan) -> int:
    steps = [*plan.prologue, *plan.steps]
    return max((len(step.variants) for step in steps if isinstance(step, Tune)), default=1)


def _unchecked(ready: Ready, outcome: Outcome, no_double: str) -> tuple[str, ...]:
    found = list(UNCHECKED)
    if any(kernel is not None and not kernel.binary for kernel in ready.built):
        found.append(NOT_ASSEMBLED)
    if no_double:
        found.append(facts.no_double_form(no_double))
    if has_alternatives(ready.plan):
        found.append(
            "configurations of @triton.autotune but the first, on other shapes than the smallest and the one as written"
        )
    if outcome.libdevice:
        found.append(f"digits of libdevice functions ({', '.join(outcome.libdevice)})")
    return tuple(found)


def _moved(prepared: Prepared) -> list[Any]:
    """What any program must move: the tensors that go in and those that come out."""
    return [value for value in (*prepared.materials.inputs, *prepared.native) if hasattr(value, "nbytes")]


def _lost_story(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return (
        f"the reference's {shown} found no place (parameters match by name, else by shape and order) or nothing uses it"
    )


def _stopped(case: InputCase, stop: Stop) -> CaseResult:
    return CaseResult(case, stop.status, stop.stage, stop.reason, sandbox=stop.sandbox)
