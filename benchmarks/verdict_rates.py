"""Two presets judging the same batches in turn: verdicts per second and CPU time of each, and what differs.

What `funnel_gain.py` and `multi_input_cost.py` share; no benchmark by itself. Both verifiers are opened before anything
is timed. In each round both judge the same new batch, and every second round the other one begins: what the machine
does besides falls on both. Ratios are taken within a round, and their median over the rounds is what counts, with the
interval that it lies in.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from verify_throughput import cpu_seconds, renamed

from tritonrl_core.preset import Preset
from tritonrl_core.session import Session
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, Score, Task
from tritonrl_core.verifier import Verifier


@dataclass(frozen=True)
class Job:
    """One candidate of a batch, and what kind of candidate it was made as."""

    kind: str
    task: Task
    candidate: Candidate


@dataclass
class Side:
    """One preset's figures, one entry a round: seconds, CPU seconds of all processes, those of this one, and scores."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    own_seconds: list[float] = field(default_factory=list)
    scores: list[list[Score]] = field(default_factory=list)

    def judge(self, verifier: Verifier, jobs: Sequence[Job]) -> None:
        """Judge a batch and add its figures."""
        began, used, own = time.perf_counter(), cpu_seconds(), time.process_time()
        scores = verifier.verify_batch([(job.task, job.candidate) for job in jobs])
        self.seconds.append(time.perf_counter() - began)
        self.cpu_seconds.append(cpu_seconds() - used)
        self.own_seconds.append(time.process_time() - own)
        self.scores.append(scores)


@dataclass
class Rounds:
    """The batches, and both sides' figures for them."""

    batches: list[Sequence[Job]] = field(default_factory=list)
    first: Side = field(default_factory=Side)
    second: Side = field(default_factory=Side)

    def ratio(self, figure: str = "seconds") -> float:
        """Median over the rounds of the first side's `seconds` or `cpu_seconds` by the second's."""
        return statistics.median(self._ratios(figure))

    def interval(self, figure: str = "seconds") -> tuple[float, float]:
        """Where that median lies with 95 % confidence (see `median_interval`)."""
        return median_interval(self._ratios(figure))

    def rate(self, side: int) -> float:
        """Median of the verdicts a second of side 0 or 1."""
        pairs = zip(self.batches, self._of(side, "seconds"), strict=True)
        return statistics.median(len(jobs) / seconds for jobs, seconds in pairs)

    def cpu_ms(self, side: int, figure: str = "cpu_seconds") -> float:
        """Median of the CPU milliseconds of a verdict, of side 0 or 1; `own_seconds`: of the verifier's process."""
        pairs = zip(self.batches, self._of(side, figure), strict=True)
        return statistics.median(1e3 * seconds / len(jobs) for jobs, seconds in pairs)

    def pairs(self) -> list[tuple[Job, Score, Score]]:
        """Every candidate of every round with both verdicts."""
        return [
            pair
            for jobs, one, two in zip(self.batches, self.first.scores, self.second.scores, strict=True)
            for pair in zip(jobs, one, two, strict=True)
        ]

    def _ratios(self, figure: str) -> list[float]:
        return [one / two for one, two in zip(self._of(0, figure), self._of(1, figure), strict=True)]

    def _of(self, side: int, figure: str) -> list[float]:
        values: list[float] = getattr((self.first, self.second)[side], figure)
        return values


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Two of the values between which the median lies with this confidence, however they are distributed: each value is
    above it or below it as a coin falls (the sign test). Of fewer than six: the least and the largest, less sure.
    """
    ordered, count = sorted(values), len(values)
    outside = [2 * sum(math.comb(count, below) for below in range(rank)) / 2**count for rank in range(count // 2 + 1)]
    rank = max(1, *(rank for rank, share in enumerate(outside) if share <= 1 - confidence))
    return ordered[rank - 1], ordered[count - rank]


def in_turn(
    first: Preset | Session, second: Preset | Session, batches: Sequence[Sequence[Job]], *, learns: bool = False
) -> Rounds:
    """Both presets, or sessions that no preset opens, on each batch; workers and GPU are started, and torch and triton
    loaded, before. `learns`: a plugin goes by earlier verdicts, so it sees a batch of the same kind before."""
    found = Rounds()
    with _verifier(first) as one, _verifier(second) as two:
        for verifier in (one, two):
            verifier.verify_batch([(job.task, job.candidate) for job in warm_up(batches[0], whole=learns)])
        for number, jobs in enumerate(batches):
            found.batches.append(jobs)
            turns: list[Callable[[], None]] = [
                lambda jobs=jobs: found.first.judge(one, jobs),  # type: ignore[misc]
                lambda jobs=jobs: found.second.judge(two, jobs),  # type: ignore[misc]
            ]
            for turn in turns if number % 2 == 0 else turns[::-1]:
                turn()
    return found


def _verifier(side: Preset | Session) -> Verifier:
    return Verifier(side) if isinstance(side, Preset) else Verifier(side.preset, side)


def warm_up(jobs: Sequence[Job], *, whole: bool = False) -> list[Job]:
    """One right candidate of each task, and all jobs if `whole`, with kernels of other names: references are prepared
    once, as in training, and nothing that is measured is compiled before."""
    last = {job.task.id: job for job in jobs if job.kind == "right"}
    return [
        Job(job.kind, job.task, Candidate.from_code(renamed(job.candidate.code, 10**6 + number)))
        for number, job in enumerate([*last.values(), *(jobs if whole else ())])
    ]


def tasks_by_id(size: str = "small") -> dict[str, Task]:
    """The built-in suite, both splits."""
    return {task.id: task for task in builtin_tasks("all", size)}
