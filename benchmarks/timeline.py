"""One batch's verification as a timeline: who worked and who waited when, and what the batch waited for at its end.

    with watched() as watch:
        verifier.verify_batch(jobs)
    print("\\n".join(watch.told()))

It looks at the doors that all work goes through (recorders, compilers and interpreters; replay workers) from outside,
so that the verifier itself keeps no such book. What is between them is the verifier's own process, or a kernel that is
being compiled for another candidate already.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tritonrl_core.bench.early import Early
from tritonrl_core.bench.processes.forkserver import ForkServer
from tritonrl_core.bench.replay.pool import ReplayPool
from tritonrl_core.verifier import Verifier

STEP_S = 0.25
LAST = 6


@dataclass(frozen=True)
class Span:
    """One job of a candidate: asked for, done, and of that how long a worker worked (the last part of it), how long the
    worker waited for others that use the GPU, and whether the job was begun early."""

    candidate: int
    what: str
    asked: float
    done: float
    worked: float
    turn: float = 0.0
    early: bool = False

    @property
    def began(self) -> float:
        return max(self.asked, self.done - self.worked)


@dataclass
class Watch:
    """What was seen, in seconds since it began."""

    began: float = field(default_factory=time.perf_counter)
    spans: list[Span] = field(default_factory=list)
    judged: dict[int, tuple[str, float, float]] = field(default_factory=dict)
    """Of each candidate: what it is and became, when a thread took it up, when it was done."""

    def __post_init__(self) -> None:
        self._mine = threading.local()
        self._lock = threading.Lock()

    def now(self) -> float:
        return time.perf_counter() - self.began

    def whose(self) -> int:
        return getattr(self._mine, "candidate", -1)

    def judge(self, real: Callable[..., Any], verifier: Any, task: Any, candidate: Any) -> Any:
        with self._lock:
            number = len(self.judged)
            self.judged[number] = (task.id, self.now(), 0.0)
        self._mine.candidate = number
        score = real(verifier, task, candidate)
        name = f"{task.id} {score.verdict.status} {score.candidate.key[:6]}"
        self.judged[number] = (name, self.judged[number][1], self.now())
        return score

    def forked(self, real: Callable[..., Any], server: Any, *job: Any) -> Any:
        asked = self.now()
        result = real(server, *job)
        self.add(server.kind.profile, asked, result.seconds)
        return result

    def replayed(self, real: Callable[..., Any], pool: Any, job: Any, deadline_s: float, **where: Any) -> Any:
        asked = self.now()
        answer = real(pool, job, deadline_s, **where)
        what = where.get("near", "").partition(" ")[0] or "other"
        self.add(what, asked, answer.data.get("worker_seconds", 0.0), answer.data.get("turn_seconds", 0.0))
        return answer

    def wished(self, real: Callable[..., Any], early: Any, work: Callable[[], Any], *more: Any) -> Any:
        whose = self.whose()

        def taken_over() -> Any:
            self._mine.candidate, self._mine.early = whose, True
            try:
                return work()
            finally:
                self._mine.candidate, self._mine.early = -1, False

        return real(early, taken_over, *more)

    def add(self, what: str, asked: float, worked: float, turn: float = 0.0) -> None:
        early = getattr(self._mine, "early", False)
        self.spans.append(Span(self.whose(), what, asked, self.now(), worked, turn, early))

    def told(self) -> list[str]:
        """The timeline as lines of text."""
        end = max((done for _, _, done in self.judged.values()), default=0.0)
        return [f"a batch of {len(self.judged)} in {end:.2f} s", *self._sums(), *self._strip(end), *self._last()]

    def _sums(self) -> list[str]:
        kinds: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            kinds[span.what].append(span)
        return [
            f"  {what:9} {len(spans):4} jobs, seconds of workers {sum(span.worked for span in spans):6.2f} "
            f"(turn {sum(span.turn for span in spans):5.2f}), longest {max(span.worked for span in spans):5.2f}; "
            f"waited for one {sum(span.began - span.asked for span in spans):7.2f}; "
            f"begun early {sum(span.early for span in spans)}"
            for what, spans in sorted(kinds.items())
        ]  # fmt: skip

    def _strip(self, end: float) -> list[str]:
        """How many worked and how many waited in each stretch, by kind; how many candidates were done at its end."""
        kinds = sorted({span.what for span in self.spans})
        head = "".join(f"{kind:>18}" for kind in kinds)
        lines = [f"  until s {head}   no thread yet   done   (at work + waiting)"]
        for number in range(int(end / STEP_S) + 1):
            left, right = number * STEP_S, (number + 1) * STEP_S
            cells = []
            for kind in kinds:
                own = [span for span in self.spans if span.what == kind]
                works = sum(_shared(span.began, span.done, left, right) for span in own) / STEP_S
                waits = sum(_shared(span.asked, span.began, left, right) for span in own) / STEP_S
                cells.append(f"{works:10.1f} + {waits:5.1f}")
            absent = sum(_shared(0.0, taken, left, right) for _, taken, _ in self.judged.values()) / STEP_S
            done = sum(0 < finished <= right for _, _, finished in self.judged.values())
            lines.append(f"  {right:7.2f} " + "".join(cells) + f"{absent:16.1f}{done:7}")
        return lines

    def _last(self) -> list[str]:
        """The jobs of those that were done last, each as: asked for, begun, done."""
        lines = []
        last = sorted(self.judged, key=lambda number: self.judged[number][2])[-LAST:]
        for number in reversed(last):
            name, taken, done = self.judged[number]
            lines.append(f"  {name}: taken up at {taken:.2f}, done at {done:.2f}")
            own = sorted((span for span in self.spans if span.candidate == number), key=lambda span: span.asked)
            for span in own:
                times = f"{span.asked:6.2f} {span.began:6.2f} {span.done:6.2f}"
                lines.append(f"    {span.what:9} {times}{'  early' if span.early else ''}")
        return lines


def _shared(begin: float, end: float, left: float, right: float) -> float:
    """How long two stretches of time overlap."""
    return max(0.0, min(end, right) - max(begin, left))


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch all verifiers of this process until the context is left."""
    watch = Watch()
    doors: Sequence[tuple[type, str, Callable[..., Any]]] = (
        (Verifier, "_judge", watch.judge),
        (ForkServer, "run", watch.forked),
        (ReplayPool, "run", watch.replayed),
        (Early, "wish", watch.wished),
    )
    real = {(owner, name): getattr(owner, name) for owner, name, _ in doors}
    for owner, name, seen in doors:
        setattr(owner, name, _through(seen, real[owner, name]))
    try:
        yield watch
    finally:
        for (owner, name), function in real.items():
            setattr(owner, name, function)


def _through(seen: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **named: seen(real, *given, **named)
