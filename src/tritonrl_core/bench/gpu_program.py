"""The bench with a GPU: candidates are recorded and compiled on the CPU, and only their plans reach the device.

For the trusted parent. It holds no tensor and touches no GPU itself; `replay.worker` processes do.
"""

from __future__ import annotations

import base64
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tritonrl_core.bench.case_groups import Chances, together
from tritonrl_core.bench.early import Early
from tritonrl_core.bench.gpu_answers import result_of, stopped, times_of
from tritonrl_core.bench.large_cases import LargeCases
from tritonrl_core.bench.plan.schema import as_data, most_variants
from tritonrl_core.bench.prepare import MakeCases, Preparation, Prepares, Ready, Stop
from tritonrl_core.bench.preview import CpuPreviews
from tritonrl_core.bench.record.ahead import Habit
from tritonrl_core.bench.replay.baselines import Baselines, baseline_key, default_folder
from tritonrl_core.bench.replay.job import PlanBytes, job_bytes, plan_bytes, together_bytes, values_job
from tritonrl_core.bench.replay.pool import Answer, ReplayPool
from tritonrl_core.bench.signatures import Signatures
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.bench.timing.facts import plan_facts
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
    content_key,
)

CORES_A_WORKER, FEWEST_WORKERS, MOST_WORKERS = 4, 2, 4
"""Replay workers on each GPU: one for so many of its cores. A check is more Python than kernel, so one alone would
leave the GPU idle; what the other cores record and compile keeps no more of them busy."""

AT_ONCE = 4
"""Candidates in work for each core. Most of them wait: for the GPU when they are compiled, for a core before."""

DOUBT_CASES = 4
"""On how many more cases doing nothing must be right before the kernels count as decoration."""


class GpuBench:
    """Programs on this machine's GPUs. Close it to end its workers."""

    def __init__(
        self, spec: BenchSpec, make_cases: MakeCases, *, workers_per_gpu: int = 0, elsewhere: Prepares | None = None
    ) -> None:
        """`elsewhere` records and compiles in place of this machine. No `workers_per_gpu`: by its cores."""
        self.spec, self.at_once = spec, AT_ONCE * spec.cpu_workers
        self._make_cases = make_cases
        self._pool = ReplayPool(spec.gpus, workers=workers_per_gpu or workers_for(spec))
        self._baselines = Baselines(default_folder())
        self._preparation: Prepares = elsewhere or Preparation(spec, gpu_for(spec.target), make_cases, self.values)
        self._previews: CpuPreviews | None = None
        self._habit, self._early, self._chances = Habit(make_cases), Early(spec.cpu_workers), Chances()
        self._lock = threading.Lock()

    def program(self, task: Task, candidate: Candidate) -> GpuProgram:
        """A candidate on this bench; nothing runs yet."""
        return GpuProgram(
            task, candidate, self.spec, self._preparation, self._pool, self._make_cases, self._baselines, self.previews,
            self._habit, self._early, self._chances,
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


def workers_for(spec: BenchSpec) -> int:
    """Replay workers on each GPU of a bench."""
    cores = spec.cpu_workers // max(1, len(spec.gpus))
    return min(MOST_WORKERS, max(FEWEST_WORKERS, cores // CORES_A_WORKER))


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
        early: Early, chances: Chances,
    ) -> None:  # fmt: skip
        self._baselines, self._previews, self._habit, self._chances = baselines, previews, habit, chances
        self.task, self._spec, self._pool, self._make_cases = task, spec, pool, make_cases
        self._signatures = Signatures(task, candidate, preparation, habit, early)
        self._encoded: dict[int, PlanBytes] = {}
        self._facts: dict[int, dict[str, Any]] = {}
        self._alternatives: dict[str, CaseResult | None] = {}
        self._results: dict[str, CaseResult] = {}
        self._large = LargeCases()
        self._one_by_one = False  # whether cases are checked each by itself from here on
        self._lock = threading.RLock()

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        """Cases of the task, the one most likely to fail first."""
        return self._habit.cases(self.task, request)

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        """Run on one case and compare. Raises `TaskError` for a broken reference, `InfraError` for faults of ours."""
        key = _case_key(case, criterion)
        with self._lock:
            if key not in self._results:
                began = time.perf_counter()
                self._results |= self._with_others(case, criterion) or {key: self._attempt(case, criterion)}
                self._results[key] = replace(self._results[key], seconds=time.perf_counter() - began)
            return self._results[key]

    preview_is_kept = False

    def preview(self, case: InputCase) -> CaseResult:
        """Replay the recorded plan on the CPU, before it is compiled (see `types.Previews` and `bench.preview`)."""
        with self._lock:
            began = time.perf_counter()
            recorded = self._signatures.record(case)
            if isinstance(recorded, Stop):
                return stopped(case, recorded)
            result = self._previews().preview(self.task, case, recorded)
            return replace(result, seconds=time.perf_counter() - began)

    def compile(self, case: InputCase) -> CaseResult:
        """Record and compile for the target; nothing runs."""
        prepared = self._prepare(case)
        if isinstance(prepared, Stop):
            return stopped(case, prepared)
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
        return times_of(answer, protocol, device, known["wall_us"])

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
        with self._lock:
            return self._signatures.prepare(case)

    def _with_others(self, case: InputCase, criterion: str) -> dict[str, CaseResult]:
        """This case and those that will be asked for after it, checked in one job; {} where it is to be checked by
        itself: nothing has passed yet, or a job for several did not find all of them plainly right."""
        if criterion != "default" or self._one_by_one or not self._passed():
            return {}
        self._prepare(case)
        others = [one for one in self._habit.others(self.task, case) if _case_key(one) not in self._results]
        parts = together(case, others, self._signatures.ready)
        if not parts or not self._chances.pays(self.task.key):
            return {}
        sent = [(one, self._sent(ready)) for one, ready in parts]
        answer = self._ask(together_bytes(self.task, sent, self._spec.precision))
        self._one_by_one = answer.outcome != "ok" or "right" not in answer.data
        self._chances.learn(self.task.key, not self._one_by_one)
        if self._one_by_one:
            return {}
        spent = [answer.data["seconds"], *({} for _ in parts[1:])]  # it cannot be told apart
        told = zip(answer.data["right"], answer.data["facts"], spent, strict=True)
        return {
            _case_key(one): self._result(one, ready, Answer("ok", {**data, "facts": known, "seconds": seconds}))
            for (one, ready), (data, known, seconds) in zip(parts, told, strict=True)
        }

    def _passed(self) -> bool:
        return any(result.status is Status.PASSED for result in self._results.values())

    def _attempt(self, case: InputCase, criterion: str) -> CaseResult:
        prepared = self._prepare(case)
        if isinstance(prepared, Stop):
            return stopped(case, prepared)
        result = self._result(case, prepared, self._replay("check", case, prepared, criterion))
        if result.facts.get("right_without_launches") and self._decoration(case, criterion):
            reason = "the output is as right with every Triton launch left out: the kernels do not do the work"
            return replace(result, status=Status.CHEATED, reason=reason)
        if result.status is Status.PASSED and criterion == "default" and most_variants(prepared.plan) > 1:
            other = self._wrong_alternative(case)
            return result if other is None else replace(result, status=other.status, reason=other.reason)
        return result

    def _wrong_alternative(self, case: InputCase) -> CaseResult | None:
        """The first wrong configuration of @triton.autotune, on this case where it is of the shape that is timed: there
        the clock might pick another than it picked now. On the smallest case where it is not."""
        as_written = self._make_cases(self.task, CaseRequest())[0].signature
        if case.signature != as_written:
            case = replace(self._make_cases(self.task, CaseRequest(count=1, small=True))[0], dtype=case.dtype)
        prepared = self._prepare(case)
        if isinstance(prepared, Stop):
            return stopped(case, prepared)
        key = _case_key(case)
        if key not in self._alternatives:
            picks = range(most_variants(prepared.plan))
            tried = (self._tried(case, prepared, pick) for pick in picks)
            self._alternatives[key] = next((result for result in tried if result.status is not Status.PASSED), None)
        return self._alternatives[key]

    def _tried(self, case: InputCase, prepared: Ready, pick: int) -> CaseResult:
        result = self._result(case, prepared, self._replay("check", case, prepared, "default", pick=pick))
        return replace(result, reason=f"configuration {pick + 1} of @triton.autotune: {result.reason}")

    def _replay(self, do: str, case: InputCase, prepared: Ready, criterion: str,
                protocol: TimingProtocol | None = None, known: Mapping[str, Any] | None = None,
                pick: int = -1) -> Answer:  # fmt: skip
        sent = self._sent(prepared)
        name = content_key(case.signature, case.distribution, case.seed)
        with self._lock:
            large = self._large.how(name, prepared.plan)
        job = job_bytes(do, self.task, case, sent, criterion, self._spec.precision, protocol, known, pick, large)
        answer = self._ask(job, timed=do == "time")
        if answer.outcome == "died" or answer.data.get("fault") == "ours":
            # A worker that dies without a word may be the machine's fault: once more, on the spare.
            answer = self._pool.run(job, self._spec.timeout_s)
        with self._lock:
            self._large.learn(name, answer.data)
        return answer

    def _ask(self, job: bytes, *, timed: bool = False) -> Answer:
        """A worker's answer. What is timed for one task is timed by one worker: the clocks of two processes differ by
        some tenths of a µs. What is checked for one task goes to one worker if that is free: its cases are worked out
        there already."""
        began = time.perf_counter()
        answer = self._pool.run(
            job, self._spec.timeout_s, near=f"{'time' if timed else 'check'} {self.task.key}", only=timed
        )
        if "seconds" in answer.data:
            answer.data["seconds"]["waiting"] = time.perf_counter() - began - answer.data["worker_seconds"]
            answer.data["seconds"]["worker"] = answer.data["worker_seconds"]
            answer.data["seconds"]["turn"] = answer.data["turn_seconds"]
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

    def _result(self, case: InputCase, prepared: Ready, answer: Answer) -> CaseResult:
        return result_of(case, prepared, answer, self._known_facts(prepared))

    def _decoration(self, case: InputCase, criterion: str) -> bool:
        """Whether leaving all launches out is right on every other case too, whatever the values."""
        request = CaseRequest(count=DOUBT_CASES + 1, values=True, seed=case.seed + 1)
        for other in self._make_cases(self.task, request):
            prepared = self._prepare(other)
            if isinstance(prepared, Stop):
                return False
            result = self._result(other, prepared, self._replay("check", other, prepared, criterion))
            if not result.facts.get("right_without_launches"):
                return False
        return True


def _case_key(case: InputCase, criterion: str = "default") -> str:
    return content_key(case.name, case.signature, case.distribution, case.seed, criterion)
