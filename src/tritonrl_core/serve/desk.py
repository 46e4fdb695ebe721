"""Where candidates are handed in: each content is judged once, verdicts are kept, and the queue has an end.

A verdict is on the disk before it is handed out, so a service that is killed and started again knows it. Knows nothing
of HTTP.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tritonrl_core.runs import Run
from tritonrl_core.serve.known import KEPT, Key, Known
from tritonrl_core.types import Candidate, Score, Task
from tritonrl_core.verifier import as_repeat

Job = tuple[Task, Candidate]


class FullError(Exception):
    """There is no room for so many. `retry_s` is when there may be, by the rate of the last minutes."""

    def __init__(self, retry_s: float) -> None:
        super().__init__(f"no room; try again in {retry_s:.0f} s")
        self.retry_s = retry_s


class DrainingError(Exception):
    """The service is about to end and takes nothing new."""


@dataclass(frozen=True)
class Counts:
    """What the metrics are made of: totals since the start."""

    statuses: dict[str, int]
    known: int
    refused: int
    seconds: float
    waiting: int


class Desk:
    """Takes jobs up to `capacity` unfinished ones and gives futures of their scores. Safe to call from many threads.

    `judge` gives the score of one job and is called from `workers` threads. `kept` verdicts stay in memory, all others
    are read from the run's folder when they are asked for.
    """

    def __init__(
        self,
        judge: Callable[[Task, Candidate], Score],
        run: Run,
        *,
        capacity: int = 4096,
        workers: int = 4,
        kept: int = KEPT,
    ) -> None:
        self.capacity = capacity
        self._judge, self._run = judge, run
        self._done = Known(run, kept)
        self._open: dict[Key, Future[Score]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="desk")
        self._statuses: Counter[str] = Counter()
        self._known = self._refused = 0
        self._seconds = 0.0
        self._finished: list[float] = []
        self._draining = False

    @property
    def draining(self) -> bool:
        return self._draining

    def submit(self, jobs: Sequence[Job]) -> list[Future[Score]]:
        """Futures of the scores, in order; all of the jobs are taken or none.

        Content that is known is done at once, content in work is joined, and neither takes room. Raises `FullError` and
        `DrainingError`.
        """
        with self._lock:
            if self._draining:
                raise DrainingError
            keys = [(task.key, candidate.key) for task, candidate in jobs]
            new = {key for key in keys if key not in self._done and key not in self._open}
            if len(self._open) + len(new) > self.capacity:
                self._refused += len(jobs)
                raise FullError(self._wait_for(len(self._open) + len(new) - self.capacity))
            self._known += len(jobs) - len(new)
            return [self._future(key, job) for key, job in zip(keys, jobs, strict=True)]

    def _future(self, key: Key, job: Job) -> Future[Score]:
        known = self._done.get(key)
        if known is not None:
            done: Future[Score] = Future()
            done.set_result(as_repeat(known, *job))
            return done
        if key not in self._open:
            self._open[key] = self._pool.submit(self._work, key, job)
        return self._open[key]

    def _work(self, key: Key, job: Job) -> Score:
        began = time.monotonic()
        try:
            score = self._judge(*job)
            self._done.add(score)
        except BaseException:
            with self._lock:
                self._open.pop(key, None)
            raise
        with self._lock:
            self._open.pop(key, None)
            self._statuses[score.verdict.status.value] += 1
            self._seconds += time.monotonic() - began
            self._finished = [*self._finished[-99:], time.monotonic()]
        return score

    def _wait_for(self, places: int) -> float:
        """Seconds until so many places are free, by the rate of the last hundred verdicts."""
        if len(self._finished) < 2:
            return 5.0
        rate = (len(self._finished) - 1) / max(self._finished[-1] - self._finished[0], 1e-3)
        return min(60.0, max(1.0, places / rate))

    def counts(self) -> Counts:
        with self._lock:
            return Counts(dict(self._statuses), self._known, self._refused, self._seconds, len(self._open))

    def drain(self) -> None:
        """Take nothing new from now on. What is in work is finished."""
        self._draining = True

    def close(self) -> None:
        """Finish what is in work and let go of the folder."""
        self.drain()
        self._pool.shutdown(wait=True)
        self._done.close()
        self._run.close()
