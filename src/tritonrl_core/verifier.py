"""The verifier: candidates in, scores out, in batches. It serves `verify`, `eval` and `train` alike and imports no
trainer.

It keeps the order of the stages (pre-filter, correctness, speed, reward), judges the same code for the same task once,
and turns failures of ours into status `INFRA`. What a stage decides is up to the session's hooks and the bench.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from tritonrl_core.errors import HookFailure, InfraError, TaskError, TritonRLError
from tritonrl_core.reward import reward_parts
from tritonrl_core.types import (
    Bench,
    Candidate,
    Program,
    Score,
    Stage,
    Status,
    TakesMany,
    Task,
    Timing,
    Verdict,
)

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset
    from tritonrl_core.session import Session

log = logging.getLogger(__name__)

CACHE_SIZE = 100_000
"""Scores remembered by content (a score is a few KiB)."""

Key = tuple[str, str]


class Verifier:
    """Judges candidates under one preset.

    >>> with Verifier(load_preset("baseline")) as verifier:  # doctest: +SKIP
    ...     score = verifier.verify(task, code)

    Thread-safe. `session` shares an open session (training does); without it one is opened from the preset. Raises
    `PresetError`/`PluginError` at construction. `broken` has what was wrong with references that did not run, by task
    key: nothing can be said of their candidates.
    """

    def __init__(self, preset: Preset, session: Session | None = None, known: Iterable[Score] = ()) -> None:
        from tritonrl_core.bench.resolve import resolve_spec
        from tritonrl_core.session import Session

        self.preset = preset
        self.session = session or Session.open(preset)
        self.spec = resolve_spec(preset)
        self.bench: Bench = self.session.open_bench(self.spec)
        self.broken: dict[str, TaskError] = {}
        self._scores: OrderedDict[Key, Score] = OrderedDict()
        self._complaints: set[str] = set()
        self._lock = threading.Lock()
        # Twice the worker count: while one thread compares in this process another one's candidate runs.
        self.at_once = self.bench.at_once if isinstance(self.bench, TakesMany) else 2 * self.spec.cpu_workers
        self._pool = ThreadPoolExecutor(max_workers=self.at_once, thread_name_prefix="verify")
        for score in known:
            self._remember(score)

    @property
    def timed_on(self) -> Collection[int]:
        """GPUs that times are taken on: what else runs there meanwhile disturbs them."""
        return self.spec.gpus if self.spec.device == "cuda" else ()

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers. Safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.bench.close()

    def verify(self, task: Task, code: str | Candidate) -> Score:
        """Judge one candidate: source text that defines `ModelNew`, or a parsed completion.

        Raises `TaskError` for a broken reference, and `HookFailure` under `on_hook_failure: abort`.
        """
        candidate = Candidate.from_code(code) if isinstance(code, str) else code
        score = self.verify_batch([(task, candidate)])[0]
        if score.verdict.status is Status.INFRA and task.key in self.broken:
            raise self.broken[task.key]
        return score

    def verify_batch(
        self,
        jobs: Sequence[tuple[Task, Candidate]],
        on_score: Callable[[int, Score], None] | None = None,
    ) -> list[Score]:
        """Judge many at once; the same code for the same task is judged once.

        `on_score(index, score)` is called from this thread as verdicts come. The list is in the order of `jobs`. A
        broken reference costs only its own candidates: they are `INFRA`, and `broken` says why. Raises `HookFailure`
        under `on_hook_failure: abort`.
        """
        scores: list[Score | None] = [None] * len(jobs)
        waiting: dict[Key, list[int]] = {}
        ready: list[int] = []
        for index, (task, candidate) in enumerate(jobs):
            key = (task.key, candidate.key)
            known = self._recall(key)
            if known is None:
                waiting.setdefault(key, []).append(index)
            else:
                scores[index] = as_repeat(known, *jobs[index])
                ready.append(index)
        for index in ready:
            _tell(on_score, index, scores[index])
        pending: dict[Future[Score], list[int]] = {
            self._pool.submit(self._judge, *jobs[places[0]]): places for places in waiting.values()
        }
        try:
            for future in as_completed(pending):
                first, *others = pending[future]
                score = future.result()
                self._remember(score)
                scores[first] = score
                for index in others:
                    scores[index] = as_repeat(score, *jobs[index])
                for index in (first, *others):
                    _tell(on_score, index, scores[index])
        finally:
            for future in pending:
                future.cancel()
        return [score for score in scores if score is not None]

    def _judge(self, task: Task, candidate: Candidate) -> Score:
        began = time.perf_counter()
        timing: Timing | None = None
        try:
            verdict, timing = self._stages(task, candidate)
        except HookFailure as failure:
            if self.session.on_hook_failure == "abort":
                raise
            self._complain(failure)
            verdict = Verdict(Status.INFRA, Stage.FULL, reason=failure.message, source=failure.plugin)
        except (InfraError, TaskError) as fault:
            if isinstance(fault, TaskError):
                self.broken[task.key] = fault
            self._complain(fault)
            verdict = Verdict(Status.INFRA, Stage.FULL, reason=fault.message)
        reward = reward_parts(verdict, timing, self.preset.reward)
        return Score(
            task_id=task.id,
            level=task.level,
            task_key=task.key,
            family=task.family,
            candidate=candidate,
            verdict=verdict,
            timing=timing,
            reward=reward,
            seconds=time.perf_counter() - began,
        )

    def _complain(self, fault: TritonRLError) -> None:
        """Log a fault of ours, the same one once: the thousandth time it only hides the others."""
        with self._lock:
            known = fault.message in self._complaints
            self._complaints.add(fault.message)
        log.log(logging.DEBUG if known else logging.ERROR, "%s", fault)

    def _stages(self, task: Task, candidate: Candidate) -> tuple[Verdict, Timing | None]:
        clock = _StageClock()
        program = self.bench.program(task, candidate)
        with clock("pre_filter"):
            objection = self.session.pre_filter(task, candidate, program)
        if objection is not None:
            verdict = Verdict(
                objection.status,
                objection.stage,
                objection.reason,
                valid=objection.valid,
                compiled=objection.compiled,
                source=self.session.last_answer("pre_filter"),
                sandbox=objection.sandbox,
            )
            return replace(verdict, stage_seconds=clock.seconds), None
        with clock("check_correctness"):
            verdict = self.session.check_correctness(task, program)
        timing = None
        if verdict.status is Status.PASSED:
            with clock("measure_speed"):
                timing = self._time(task, program)
        if timing is not None and timing.status is not Status.PASSED:
            verdict, timing = _lowered(verdict, timing), None
        return replace(verdict, stage_seconds={**clock.seconds, **verdict.stage_seconds}), timing

    def _time(self, task: Task, program: Program) -> Timing | None:
        """Speed of a kernel that passed; None where the clock failed, which is our fault and no reason to refuse it."""
        try:
            return self.session.measure_speed(task, program)
        except InfraError as fault:
            log.warning("%s: no speed: %s", task.id, fault.message)
            return None

    def _recall(self, key: Key) -> Score | None:
        with self._lock:
            score = self._scores.get(key)
            if score is not None:
                self._scores.move_to_end(key)
            return score

    def _remember(self, score: Score) -> None:
        """Keep a score for its content, unless it is INFRA: our fault is worth another try."""
        if score.verdict.status is Status.INFRA:
            return
        with self._lock:
            self._scores[(score.task_key, score.candidate.key)] = score
            while len(self._scores) > CACHE_SIZE:
                self._scores.popitem(last=False)


class _StageClock:
    """Seconds by stage, for the verdict."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._began = 0.0

    def __call__(self, name: str) -> _StageClock:
        self._name = name
        return self

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self._name] = round(time.perf_counter() - self._began, 6)


def _lowered(verdict: Verdict, timing: Timing) -> Verdict:
    """The verdict on a kernel that passed its checks and went wrong while it was timed."""
    lower = replace(verdict, status=timing.status, stage=Stage.TIMING, reason=timing.reason)
    return replace(lower, valid=False, compiled=None) if timing.status is Status.CHEATED else lower


def as_repeat(score: Score, task: Task, candidate: Candidate) -> Score:
    """The known score of the same code, under this completion's own text, task name and level."""
    return replace(
        score, candidate=candidate, task_id=task.id, level=task.level, family=task.family, cached=True, seconds=0.0
    )


def _tell(on_score: Callable[[int, Score], None] | None, index: int, score: Score | None) -> None:
    if on_score is not None and score is not None:
        on_score(index, score)
