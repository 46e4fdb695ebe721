"""The bench with a GPU: candidates are recorded and compiled on the CPU, and only their plans reach the device.

For the trusted parent. It holds no tensor and touches no GPU itself; `replay_worker` processes do.
"""

from __future__ import annotations

import base64
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from tritonrl_core.bench.ahead import Habit
from tritonrl_core.bench.baselines import Baselines, baseline_key, default_folder
from tritonrl_core.bench.early import Early
from tritonrl_core.bench.facts import no_double_form, plan_facts
from tritonrl_core.bench.large_cases import LargeCases
from tritonrl_core.bench.plan import as_data, most_variants
from tritonrl_core.bench.prepare import MakeCases, Preparation, Prepares, Ready, Recorded, Stop
from tritonrl_core.bench.preview import CpuPreviews
from tritonrl_core.bench.replay_job import PlanBytes, job_bytes, plan_bytes, values_job
from tritonrl_core.bench.replay_pool import Answer, ReplayPool
from tritonrl_core.bench.speed import timing_of, went_wrong
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import (
    BenchSpec,
    Candidate,
    CaseRequest,
    CaseResult,
    InputCase,
    Stage,
    Status,
    Task,
    Timing,
    TimingProtocol,
    WorstElement,
    content_key,
)

WORKERS_PER_GPU = 2
"""Replay workers on each GPU: a check is more Python than kernel, so one alone would leave the GPU idle."""

DOUBT_CASES = 4
"""On how many more cases doing nothing must be right before the kernels count as decoration."""


class GpuBench:
    """Programs on this machine's GPUs. Close it to end its workers."""

    def __init__(
        self, spec: BenchSpec, make_cases: MakeCases, *, workers_per_gpu: int = WORKERS_PER_GPU,
        elsewhere: Prepares | None = None,
    ) -> None:  # fmt: skip
        """`elsewhere` records and compiles in place of this machine."""
        self.spec = spec
        self._make_cases = make_cases
        self._pool = ReplayPool(spec.gpus, workers=workers_per_gpu)
        self._baselines = Baselines(default_folder())
        self._preparation: Prepares = elsewhere or Preparation(spec, gpu_for(spec.target), make_cases, self.values)
        self._previews: CpuPreviews | None = None
        self._habit, self._early = Habit(make_cases), Early(spec.cpu_workers)
        self._lock = threading.Lock()

    def program(self, task: Task, candidate: Candidate) -> GpuProgram:
        """A candidate on this bench; nothing runs yet."""
        return GpuProgram(
            task, candidate, self.spec, self._preparation, self._pool, self._make_cases, self._baselines, self.previews,
            self._habit, self._early,
        )  # fmt: skip

    def previews(self) -> CpuPreviews:
        """The workers that replay on the CPU; they start when they are first asked for."""
        with self._lock:
            if self._previews is None:
                self._previews = CpuPreviews(self.spec)
            return self._previews

    def describe(self) -> Mapping[str, str]:
        """Device, target, sandbox and versions. Waits until the first GPU is ready."""
        said = self._pool.describe()
        return {
            "device": f"{said['name']} ({len(self.spec.gpus)})",
            "target": self.spec.target,
            "speed": "measured",
            "sandbox": self._preparation.sandbox(),
            "workers": str(self.spec.cpu_workers),
            **versions(),
        }

    def values(self, task: Task, case: InputCase) -> bytes:
        """A case's values as the GPU makes them: another generator than the CPU's."""
        answer = self._pool.run(values_job(task, case), self.spec.timeout_s)
        if "task_error" in answer.data:
            raise TaskError(answer.data["task_error"], remedy=answer.data["remedy"])
        if answer.outcome != "ok" or "values" not in answer.data:
            raise InfraError(f"a case's values could not be had: {answer.outcome} {answer.data.get('infra', '')}")
        return base64.b64decode(answer.data["values"])

    def close(self) -> None:
        self._early.close()
        self._pool.close()
        self._preparation.close()
        with self._lock:
            if self._previews is not None:
                self._previews.close()


def versions() -> dict[str, str]:
    """What code and times depend on beside the device."""
    import torch
    import triton

    return {"torch": torch.__version__, "triton": triton.__version__, "python": platform.python_version()}


class GpuProgram:
    """One candidate for one task. Plans are kept by signature, results by case; safe to call from several threads."""

    def __init__(
        self, task: Task, candidate: Candidate, spec: BenchSpec, preparation: Prepares, pool: ReplayPool,
        make_cases: MakeCases, baselines: Baselines, previews: Callable[[], CpuPreviews], habit: Habit,
        early: Early,
    ) -> None:  # fmt: skip
        self._early = early
        self._begun: dict[str, Future[tuple[Recorded | Stop, Ready | Stop]]] = {}
        self._baselines, self._previews, self._habit = baselines, previews, habit
        self.task, self._candidate, self._spec = task, candidate, spec
        self._preparation, self._pool, self._make_cases = preparation, pool, make_cases
        self._recorded: dict[str, Recorded | Stop] = {}
        self._prepared: dict[str, Ready | Stop] = {}
        self._encoded: dict[int, PlanBytes] = {}
        self._facts: dict[int, dict[str, Any]] = {}
        self._alternatives: dict[int, CaseResult | None] = {}
        self._results: dict[str, CaseResult] = {}
        self._large = LargeCases()
        self._lock = threading.RLock()

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        """Cases of the task, the one most likely to fail first."""
        return self._habit.cases(self.task, request)

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        """Run on one case and compare. Raises `TaskError` for a broken reference, `InfraError` for faults of ours."""
        key = content_key(case.name, case.signature, case.distribution, case.seed, criterion)
        with self._lock:
            if key not in self._results:
                began = time.perf_counter()
                result = self._attempt(case, criterion)
                self._results[key] = replace(result, seconds=time.perf_counter() - began)
            return self._results[key]

    preview_is_kept = False

    def preview(self, case: InputCase) -> CaseResult:
        """Replay the recorded plan on the CPU, before it is compiled (see `types.Previews` and `bench.preview`)."""
        with self._lock:
            began = time.perf_counter()
            recorded = self._record(case)
            if isinstance(recorded, Stop):
                return _stopped(case, recorded)
            result = self._previews().preview(self.task, case, recorded)
            return replace(result, seconds=time.perf_counter() - began)

    def compile(self, case: InputCase) -> CaseResult:
        """Record and compile for the target; nothing runs."""
        prepared = self._prepare(case)
        if isinstance(prepared, Stop):
            return _stopped(case, prepared)
        known = self._known_facts(prepared)
        return CaseResult(case, Status.PASSED, Stage.COMPILE, facts=known, sandbox=prepared.sandbox)

    def time(self, protocol: TimingProtocol) -> Timing:
        """Times of candidate and baselines for the task as written, on one GPU by itself.

        Raises `InfraError` where the candidate does not pass, because then there is nothing to time.
        """
        case = self._make_cases(self.task, CaseRequest(count=1))[0]
        prepared = self._prepare(case)
        if isinstance(prepared, Stop):
            raise InfraError(
                f"only a program that passes can be timed; this one is {prepared.status}: {prepared.reason}"
            )
        said = self._pool.describe()
        device = str(said["name"])
        machine = {"device": device, "driver": str(said["driver"]), **versions()}
        key = baseline_key(self.task, case, protocol, self._spec.precision, machine)
        with self._baselines.known(key, protocol.baselines) as known:
            answer = self._replay("time", case, prepared, "default", protocol, known["samples"])
            self._learn(key, answer)
        if answer.outcome == "fault" and answer.data.get("fault") != "ours":
            reason = f"on the GPU, while it was timed: {answer.detail}"
            return went_wrong(Status.RUNTIME_ERROR, reason, protocol, device)
        if answer.outcome != "ok" or "candidate_us" not in answer.data:
            said = (answer.data.get(name) for name in ("infra", "task_error", "memory"))
            raise InfraError(f"timing failed: {next(filter(None, said), f'{answer.outcome} {answer.detail}')}")
        data = dict(answer.data)
        if data["status"] != Status.PASSED:
            return went_wrong(Status(data["status"]), data["reason"], protocol, device)
        data["facts"]["eager_wall_us"] = data["facts"].get("eager_wall_us") or known["wall_us"]
        data["facts"]["worker_s"] = round(data["worker_seconds"], 4)
        return timing_of(data, protocol, device)

    def _learn(self, key: str, answer: Answer) -> None:
        """Keep the baselines that were measured now."""
        if answer.outcome == "ok" and answer.data.get("status") == Status.PASSED and "measured" in answer.data:
            now = {name: answer.data["baseline_us"][name] for name in answer.data["measured"]}
            self._baselines.put(key, now, answer.data["facts"].get("eager_wall_us"))

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        """The launch plan as plain data; {} where there is none."""
        prepared = self._prepare(case)
        return as_data(prepared.plan) if isinstance(prepared, Ready) else {}

    def _prepare(self, case: InputCase) -> Ready | Stop:
        shared, own = content_key(case.signature), content_key(case.signature, case.distribution, case.seed)
        with self._lock:
            known = self._prepared.get(shared) or self._prepared.get(own)
            if known is None:
                begun = self._begun_early(case)
                known = begun[1] if begun else self._build(case)
                self._prepared[own if isinstance(known, Ready) and known.for_one_case else shared] = known
            return known

    def _build(self, case: InputCase) -> Ready | Stop:
        """Compile for one case, and where cores are idle begin with the candidate's next signatures."""
        recorded = self._record(case)
        if isinstance(recorded, Stop):
            return recorded
        with self._early.asked():
            for other in () if recorded.for_one_case else self._habit.after(self.task, case):
                begun = self._early.begin(partial(self._prepared_early, other))
                if begun is not None:
                    self._begun[content_key(other.signature)] = begun
            return self._preparation.build(recorded)

    def _prepared_early(self, case: InputCase) -> tuple[Recorded | Stop, Ready | Stop]:
        recorded = self._preparation.record(self.task, self._candidate, case)
        return recorded, recorded if isinstance(recorded, Stop) else self._preparation.build(recorded)

    def _begun_early(self, case: InputCase) -> tuple[Recorded | Stop, Ready | Stop] | None:
        """What was begun early for a case's signature; None where that is nothing, or good for another case only."""
        begun = self._begun.get(content_key(case.signature))
        found = begun.result() if begun else None
        return None if found and isinstance(found[0], Recorded) and found[0].for_one_case else found

    def _record(self, case: InputCase) -> Recorded | Stop:
        shared, own = content_key(case.signature), content_key(case.signature, case.distribution, case.seed)
        known = self._recorded.get(shared) or self._recorded.get(own)
        if known is None and (begun := self._begun_early(case)):
            known = self._recorded[shared] = begun[0]
        if known is None:
            after = self._habit.after(self.task, case)
            ahead = [item for item in after if content_key(item.signature) not in self._recorded]
            known = self._preparation.record(self.task, self._candidate, case, ahead)
            self._recorded[own if isinstance(known, Recorded) and known.for_one_case else shared] = known
        return known

    def _attempt(self, case: InputCase, criterion: str) -> CaseResult:
        prepared = self._prepare(case)
        if isinstance(prepared, Stop):
            return _stopped(case, prepared)
        result = self._judge(case, prepared, self._replay("check", case, prepared, criterion))
        if result.facts.get("right_without_launches") and self._decoration(case, criterion):
            reason = "the output is as right with every Triton launch left out: the kernels do not do the work"
            return replace(result, status=Status.CHEATED, reason=reason)
        if result.status is Status.PASSED and criterion == "default" and most_variants(prepared.plan) > 1:
            other = self._wrong_alternative(case)
            return result if other is None else replace(result, status=other.status, reason=other.reason)
        return result

    def _wrong_alternative(self, case: InputCase) -> CaseResult | None:
        """The first configuration of @triton.autotune that is wrong on the smallest case: the clock might pick it."""
        small = replace(self._make_cases(self.task, CaseRequest(count=1, small=True))[0], dtype=case.dtype)
        prepared = self._prepare(small)
        if isinstance(prepared, Stop):
            return _stopped(small, prepared)
        key = id(prepared)
        if key not in self._alternatives:
            picks = range(most_variants(prepared.plan))
            tried = (self._tried(small, prepared, pick) for pick in picks)
            self._alternatives[key] = next((result for result in tried if result.status is not Status.PASSED), None)
        return self._alternatives[key]

    def _tried(self, case: InputCase, prepared: Ready, pick: int) -> CaseResult:
        result = self._judge(case, prepared, self._replay("check", case, prepared, "default", pick=pick))
        return replace(result, reason=f"configuration {pick + 1} of @triton.autotune: {result.reason}")

    def _replay(self, do: str, case: InputCase, prepared: Ready, criterion: str,
                protocol: TimingProtocol | None = None, known: Mapping[str, Any] | None = None,
                pick: int = -1) -> Answer:  # fmt: skip
        sent = self._sent(prepared)
        name = content_key(case.signature, case.distribution, case.seed)
        with self._lock:
            large = self._large.how(name, prepared.plan)
        job = job_bytes(do, self.task, case, sent, criterion, self._spec.precision, protocol, known, pick, large)
        # What is timed for one task is timed by one worker: the clocks of two processes differ by some tenths of a µs.
        # What is checked for one task goes to one worker if that is free: its cases are worked out there already.
        timed = do == "time"
        began = time.perf_counter()
        answer = self._pool.run(
            job, self._spec.timeout_s, near=f"{'time' if timed else 'check'} {self.task.key}", only=timed
        )
        if "seconds" in answer.data:
            answer.data["seconds"]["waiting"] = time.perf_counter() - began - answer.data["worker_seconds"]
            answer.data["seconds"]["worker"] = answer.data["worker_seconds"]
        if answer.outcome == "died" or answer.data.get("fault") == "ours":
            # A worker that dies without a word may be the machine's fault: once more, on the spare.
            answer = self._pool.run(job, self._spec.timeout_s)
        with self._lock:
            self._large.learn(name, answer.data)
        return answer

    def _sent(self, prepared: Ready) -> PlanBytes:
        """The plan as it is sent: encoded once for all cases."""
        key = id(prepared)
        if key not in self._encoded:
            self._encoded[key] = plan_bytes(prepared.plan, prepared.built)
        return self._encoded[key]

    def _known_facts(self, prepared: Ready) -> dict[str, Any]:
        """What the plan and its binaries say."""
        key = id(prepared)
        if key not in self._facts:
            found = plan_facts(prepared.plan, prepared.built, gpu_for(self._spec.target))
            self._facts[key] = {**found, "prepare_seconds": dict(prepared.seconds)}
        return self._facts[key]

    def _judge(self, case: InputCase, prepared: Ready, answer: Answer) -> CaseResult:
        def verdict(status: Status, reason: str, **more: Any) -> CaseResult:
            return CaseResult(case, status, Stage.FULL, reason, sandbox=prepared.sandbox, **more)

        data = answer.data
        if answer.outcome == "timeout":
            return verdict(Status.TIMEOUT, f"{answer.detail} (verifier.timeout_s)")
        if answer.outcome == "died":
            raise InfraError(f"the replay worker died twice: {answer.detail}")
        if "task_error" in data:
            raise TaskError(data["task_error"], remedy=data["remedy"])
        if "infra" in data:
            raise InfraError(data["infra"])
        if answer.outcome == "fault":
            return verdict(Status.RUNTIME_ERROR, f"on the GPU: {answer.detail}")
        if "memory" in data:
            raise InfraError(f"the GPU ran out of memory: {data['memory']}", remedy="Set verifier.gpu_memory lower.")
        worst = (
            None if data["worst"] is None else WorstElement(**{**data["worst"], "index": tuple(data["worst"]["index"])})
        )
        facts = {**self._known_facts(prepared), **data["facts"], "stage_seconds": data["seconds"]}
        facts |= {"mismatch": data["mismatch"]} if data["mismatch"] else {}
        if data.get("withheld_right"):
            facts["right_without_launches"] = True
        unchecked = (no_double_form(data["no_double"]),) if data.get("no_double") else ()
        return verdict(
            Status(data["status"]), data["reason"], error=data["error"], worst=worst, facts=facts, unchecked=unchecked
        )

    def _decoration(self, case: InputCase, criterion: str) -> bool:
        """Whether leaving all launches out is right on every other case too, whatever the values."""
        request = CaseRequest(count=DOUBT_CASES + 1, values=True, seed=case.seed + 1)
        for other in self._make_cases(self.task, request):
            prepared = self._prepare(other)
            if isinstance(prepared, Stop):
                return False
            result = self._judge(other, prepared, self._replay("check", other, prepared, criterion))
            if not result.facts.get("right_without_launches"):
                return False
        return True


def _stopped(case: InputCase, stop: Stop) -> CaseResult:
    return CaseResult(case, stop.status, stop.stage, stop.reason, sandbox=stop.sandbox)
