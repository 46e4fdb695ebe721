"""A candidate on the local CPU bench: recorded, compiled, then interpreted; compared and judged here, in the parent.

A candidate's code never runs in this process. What its own process says is checked (`bench.report`) and believed only
where it costs the candidate something; the outputs are taken from shared memory after that process is dead.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tritonrl_core.bench import aten_watch, estimate, report, wire
from tritonrl_core.bench.forkserver import ForkServer, retry_once
from tritonrl_core.bench.memory import Arena, dtype_of, output_bytes
from tritonrl_core.bench.mismatch import shape_facts
from tritonrl_core.bench.prepare import MakeCases, Preparation, Ready, Stop
from tritonrl_core.bench.references import Prepared, References, named_inputs
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.bench.tolerance import Comparison, compare, mismatch
from tritonrl_core.errors import InfraError
from tritonrl_core.types import (
    BenchSpec,
    Candidate,
    CaseRequest,
    CaseResult,
    InputCase,
    Limits,
    SandboxResult,
    Stage,
    Status,
    Task,
    Timing,
    TimingProtocol,
    content_key,
)

UNCHECKED = (
    "races between programs (one order of them is tried) and the order of atomics",
    "the device's own precision (TF32, fast math)",
    "the device's limits (shared memory, registers)",
    "that every tensor is on the GPU",
    "what the candidate's own process says of its launches and ATen calls",
)
"""What the interpreter cannot see, in every verdict that it gives."""

STEP_NAMES = ("before it started", "while it was imported", "in ModelNew(...)", "in forward", "after forward")
"""By a child's progress (`bench.interpreter.STEPS`)."""


@dataclass(frozen=True)
class Resources:
    """What the programs of one bench share. `preparation` gives the recorder and compiler."""

    spec: BenchSpec
    gpu: GpuProperties
    limits: Limits
    server: ForkServer
    references: References
    make_cases: MakeCases
    preparation: Callable[[], Preparation]
    record_first: bool = True
    """Whether a candidate is recorded and compiled for the target before it is interpreted."""


class LocalProgram:
    """One candidate for one task. Results are kept per case and criterion; safe to call from several threads."""

    def __init__(self, task: Task, candidate: Candidate, resources: Resources) -> None:
        self._task, self._candidate, self._resources = task, candidate, resources
        self._results: dict[str, CaseResult] = {}
        self._prepared: dict[str, Ready | Stop] = {}
        self._lock = threading.RLock()

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        """Cases of the task, the one most likely to fail first."""
        return self._resources.make_cases(self._task, request)

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        """Run on one case and compare. Raises `TaskError` for a broken reference, `InfraError` for faults of ours."""
        key = content_key(case.name, case.signature, case.distribution, case.seed, criterion)
        with self._lock:
            if key not in self._results:
                began = time.perf_counter()
                result = self._run(case, criterion)
                self._results[key] = replace(result, seconds=time.perf_counter() - began)
            return self._results[key]

    def _prepare(self, case: InputCase) -> Ready | Stop:
        """The recorded and compiled plan, or why there is none; once for cases that differ in values only.

        A plan in which values were read back is for its own case only.
        """
        shared, own = content_key(case.signature), content_key(case.signature, case.distribution, case.seed)
        found = self._prepared.get(shared) or self._prepared.get(own)
        if found is None:
            found = self._resources.preparation().prepare(self._task, self._candidate, case)
            self._prepared[own if isinstance(found, Ready) and found.for_one_case else shared] = found
        return found

    def _run(self, case: InputCase, criterion: str) -> CaseResult:
        if not self._resources.record_first:
            return self._interpret(case, criterion)
        plan = self._prepare(case)
        if isinstance(plan, Stop):
            return _stopped(case, plan)
        result = self._interpret(case, criterion)
        return replace(result, facts={**result.facts, **_compiled(plan)})

    def _interpret(self, case: InputCase, criterion: str) -> CaseResult:
        prepared = self._resources.references.prepare(self._task, case)
        result = retry_once(lambda: self._attempt(case, prepared, criterion))
        unused = result.facts.get("unused_parameters", ())
        if result.status is not Status.WRONG or not unused:
            return result
        constructed = self._resources.references.prepare(self._task, case, constructed=True)
        if constructed.shows(unused):
            second = retry_once(lambda: self._attempt(case, constructed, criterion))
            if second.status is Status.PASSED:
                return replace(second, facts={**second.facts, "parameters": "constructed under the seed"})
        return replace(result, reason=f"{result.reason}; {_unused_story(unused)}")

    def compile(self, case: InputCase) -> CaseResult:
        """Record the candidate and compile its kernels for the target; nothing runs."""
        began = time.perf_counter()
        with self._lock:
            prepared = self._prepare(case)
        seconds = time.perf_counter() - began
        if isinstance(prepared, Stop):
            return replace(_stopped(case, prepared), seconds=seconds)
        return CaseResult(
            case, Status.PASSED, Stage.COMPILE, facts=_compiled(prepared), sandbox=prepared.sandbox, seconds=seconds
        )

    def time(self, protocol: TimingProtocol) -> Timing:
        """Estimated times of candidate and reference on the target (see `bench.estimate`), for the task as written.

        Raises `InfraError` where the candidate does not pass, because then there is nothing to time.
        """
        case = self._resources.make_cases(self._task, CaseRequest(count=1))[0]
        result = self.run(case)
        if result.status is not Status.PASSED:
            raise InfraError(f"only a program that passes can be timed; this one is {result.status}: {result.reason}")
        prepared = self._resources.references.prepare(self._task, case)
        moved = [value for value in (*prepared.materials.inputs, *prepared.native) if hasattr(value, "nbytes")]
        return estimate.estimate(result.facts["launches"], prepared.eager_work, moved, self._resources.gpu)

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        """What the candidate launches and calls on this case, as the interpreter saw it."""
        facts = self.run(case).facts
        return {name: facts.get(name, []) for name in ("launches", "aten")}

    def _attempt(self, case: InputCase, prepared: Prepared, criterion: str) -> CaseResult:
        """One run in a child. Everything it needs is made anew, because a lost worker may have changed it."""
        with Arena(prepared.buffers, output_bytes(prepared.wanted)) as arena:
            request = wire.memfd("tritonrl-request", self._request(case, prepared, arena))
            try:
                result = self._resources.server.run([request, arena.fd], self._resources.limits)
            finally:
                os.close(request)
            judged = self._judge(case, prepared, arena, result, criterion)
        return replace(judged, sandbox=result.sandbox)

    def _request(self, case: InputCase, prepared: Prepared, arena: Arena) -> bytes:
        request = {
            "code": self._candidate.code, "seed": case.seed, "training": prepared.materials.model.training,
            "target": self._resources.spec.target, "layout": arena.layout, "backwards": self._backwards(case),
            **prepared.values,
        }  # fmt: skip
        return json.dumps(request).encode()

    def _backwards(self, case: InputCase) -> bool:
        """Whether to run programs from last to first: any order is right on a GPU, and half the cases try this one.

        Programs that wait for one another do so by atomics, and on a GPU the earlier ones are there first.
        """
        return bool(case.seed % 2) and "atomic" not in self._candidate.code

    def _judge(
        self, case: InputCase, prepared: Prepared, arena: Arena, result: SandboxResult, criterion: str
    ) -> CaseResult:
        def verdict(status: Status, reason: str = "", stage: Stage = Stage.FULL, **more: Any) -> CaseResult:
            return CaseResult(case, status, stage, reason, **more)

        ended = _ended(result, arena.progress(), self._resources.limits)
        if ended is not None:
            return verdict(*ended)
        try:
            record = report.read(result.payload)
        except report.UnreadableError as error:
            return verdict(Status.RUNTIME_ERROR, str(error))
        facts = _facts(record, self._resources.gpu)
        if record.status is not None:
            return verdict(record.status, record.reason, record.stage, facts=facts)
        rule = self._broken_rule(record)
        if rule:
            return verdict(Status.REJECTED, rule, Stage.RECORD, facts=facts)
        comparison = self._compare(case, prepared, arena, record, criterion)
        facts |= {"mismatch": dict(comparison.facts)} if comparison.facts else {}
        status = Status.PASSED if comparison.ok else Status.WRONG
        return verdict(
            status, comparison.reason, facts=facts, error=comparison.error, worst=comparison.worst,
            unchecked=self._unchecked(record),
        )  # fmt: skip

    def _unchecked(self, record: report.Record) -> tuple[str, ...]:
        found = list(UNCHECKED)
        if not self._prepared:
            found.append(f"compilation for {self._resources.spec.target}")
        if record.libdevice:
            found.append(f"digits of libdevice functions ({', '.join(record.libdevice)})")
        return tuple(found)

    def _broken_rule(self, record: report.Record) -> str:
        if not record.launch_count:
            return "no Triton kernel was launched"
        return aten_watch.objection(record.aten, self._task.policy.delegation or self._resources.spec.delegation)

    def _compare(
        self, case: InputCase, prepared: Prepared, arena: Arena, record: report.Record, criterion: str
    ) -> Comparison:
        if not arena.guards_hold():
            return Comparison(False, None, reason="memory beside its tensors was written to")
        changed = self._wrong_changes(prepared, arena)
        if changed:
            return Comparison(False, None, reason=f"changed {changed}, which the reference leaves alone")
        claimed = [(shape, dtype_of(name)) for shape, name in record.outputs]
        shapes = [(shape, dtype) for shape, dtype in claimed if dtype is not None]
        differs = "" if len(shapes) == len(claimed) else "an output has a dtype that is none"
        differs = differs or mismatch(shapes, prepared.wanted)
        if differs:
            facts = shape_facts([shape for shape, _ in shapes], [shape for shape, _ in prepared.wanted])
            return Comparison(False, None, reason=differs, facts=facts)
        left = self._left_behind(prepared, arena)
        if not left.ok:
            return left
        got = arena.outputs(prepared.wanted)
        precision = self._resources.spec.precision
        return compare(got, prepared.exact, prepared.native, self._task, case, criterion=criterion, precision=precision)

    def _wrong_changes(self, prepared: Prepared, arena: Arena) -> str:
        """The inputs and parameters that were changed and must not be, in words; "" where none was."""
        mutable = {f"parameter {name}" for name in self._task.mutated_buffers}
        names = [prepared.owners[index] for index in arena.changed()]
        wrong = [name for name in names if name not in mutable and name not in prepared.after]
        return ", ".join(wrong).replace("input ", "its input ", 1) if wrong else ""

    def _left_behind(self, prepared: Prepared, arena: Arena) -> Comparison:
        """Whether inputs that the reference changes are left as it leaves them."""
        changed = [name for index in arena.changed() if (name := prepared.owners[index]).startswith("input")]
        if not changed and not any(name.startswith("input") for name in prepared.after):
            return Comparison(True, 0.0)
        now = named_inputs(arena.decode(prepared.values["inputs"]))
        expected = [value for name, value in prepared.after.items() if name.startswith("input")]
        got = [now[name] for name in prepared.after if name.startswith("input")]
        precision = self._resources.spec.precision
        compared = compare(got, [value.double() for value in expected], expected, precision=precision)
        return compared if compared.ok else replace(compared, reason=f"the input it changes: {compared.reason}")


def _ended(result: SandboxResult, progress: int, limits: Limits) -> tuple[Status, str, Stage] | None:
    """Status, reason and stage where the child gave no record; None where it gave one."""
    where = STEP_NAMES[progress] if progress < len(STEP_NAMES) else "somewhere"
    stage = Stage.FULL if progress >= 3 else Stage.RECORD
    match result.outcome:
        case "ok":
            return None
        case "timeout":
            return Status.TIMEOUT, f"{report.clean(result.detail)} (verifier.timeout_s), {where}", stage
        case "memory":
            return Status.RUNTIME_ERROR, f"out of memory: {report.clean(result.detail)}, {where}", stage
        case "output":
            return Status.RUNTIME_ERROR, f"too much output: {report.clean(result.detail)}", stage
        case "died":
            return Status.RUNTIME_ERROR, f"its process ended {where}: {report.clean(result.detail)}", stage
    raise InfraError(f"the sandbox refused to run: {result.detail}", remedy="See `tritonrl doctor`.")


def _unused_story(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"parameters match by name, else by shape and order: the reference's {shown} found no place"


def _stopped(case: InputCase, stop: Stop) -> CaseResult:
    return CaseResult(case, stop.status, stop.stage, stop.reason, sandbox=stop.sandbox)


def _compiled(prepared: Ready) -> dict[str, Any]:
    kernels = [kernel for kernel in prepared.built if kernel is not None]
    return {
        "launch_count": len(prepared.plan.launches()),
        "registers": max((kernel.registers for kernel in kernels), default=-1),
        "spill_bytes": max((kernel.spill_bytes for kernel in kernels), default=-1),
        "shared_bytes": max((kernel.shared for kernel in kernels), default=0),
    }


def _facts(record: report.Record, gpu: GpuProperties) -> dict[str, Any]:
    work = [estimate.work_of(launch) for launch in record.launches]
    return {
        "launch_count": record.launch_count,
        "unique_bytes": sum(item.unique_bytes for item in work),
        "total_bytes": sum(item.bytes for item in work),
        "stray_reads": sum(launch["stray_reads"] for launch in record.launches),
        "estimated_us": estimate.microseconds(work, gpu),
        "aten": dict(record.aten),
        **({"unused_parameters": list(record.unused)} if record.unused else {}),
        "launches": [dict(launch) for launch in record.launches],
    }
