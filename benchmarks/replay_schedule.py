"""What a schedule of replay workers should give, computed beforehand: `python benchmarks/replay_schedule.py`.

A simulation, no measurement: workers that go through a candidate's parts over and over, and the GPU's two locks as
`bench/gpu_traffic` has them. A part is on the host (`outside`), beside other workers (`beside`: whoever waits to be
alone goes first at its begin) or by itself (`alone`). Lengths of parts are what 1,000 candidates took on an H200 with
16 cores and four workers (docs/log.md), less the waiting; two numbers were fitted, so that it gives the 21.8 a second
and the 183 ms that were measured there: parts' lengths are exponentially distributed, and who waited takes 2.5 ms to be
under way again. It knows no CPU: what the cores give bounds the rate as well.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

AGAIN_MS = 2.5

Kind = Literal["outside", "beside", "alone"]


@dataclass(frozen=True)
class Part:
    """A stretch of a candidate's work that nobody interrupts, in milliseconds on average."""

    kind: Kind
    ms: float


def outside(ms: float) -> list[Part]:
    return [Part("outside", ms)]


def beside(*ms: float) -> list[Part]:
    return [Part("beside", each) for each in ms]


def alone(ms: float) -> list[Part]:
    return [Part("alone", ms)]


CHECK = beside(4.6, 2.0, 3.8)  # kernels loaded and the case made; placed and run; compared
FOUR = beside(3.6, 3.6, 3.6, 3.6, 2.5, 2.2, 3.0)  # four cases made; placed; run; compared
PREPARED, FINER = beside(6.8, 5.7, 2.0), beside(2.2, 2.2, 2.2, 1.9, 1.9, 1.9, 2.0)
SCHEDULES = {
    "a job for each case": 5 * (outside(4.8) + CHECK)
    + outside(5.2) + PREPARED + outside(1.5) + alone(11.3) + beside(9.1),
    "one job for the cases after the first": outside(5.3) + CHECK + outside(6.3) + FOUR
    + outside(5.3) + PREPARED + outside(1.5) + alone(11.3) + beside(9.1),
    "and timing in shorter parts, with fewer waits": outside(5.3) + CHECK + outside(6.3) + FOUR
    + outside(6.3) + FINER + outside(1.5) + alone(11.3) + beside(2.5, 2.5),
    "and the clock reads while graphs run": outside(5.3) + CHECK + outside(6.3) + FOUR
    + outside(6.3) + FINER + outside(1.5) + alone(9.0) + beside(2.5, 2.5),
    "and cases shared between workers": outside(5.3) + beside(2.6, 2.0, 3.8) + outside(6.3)
    + beside(1.7, 1.7, 1.7, 1.7, 2.5, 2.2, 3.0) + outside(6.3) + FINER + outside(1.5) + alone(9.0) + beside(2.5, 2.5),
}  # fmt: skip


class Room:
    """Workers in one GPU's room, by a clock of its own. `waited` is in milliseconds, by kind of part."""

    def __init__(self, parts: list[Part], workers: int, ms: float, seed: int = 0) -> None:
        self.parts, self.done, self.now = parts, 0, 0.0
        self.waited: Counter[str] = Counter()
        self._draw = random.Random(seed)
        self._at = [self._draw.randrange(len(parts)) for _ in range(workers)]
        self._since = [0.0] * workers
        self._door: deque[int] = deque()
        self._inside: set[int] = set()
        self._alone: int | None = None
        self._ends: list[tuple[float, int]] = []
        for worker in range(workers):
            self._begin(worker)
        while self.now < ms:
            self.now, worker = heapq.heappop(self._ends)
            self._end(worker)

    def _begin(self, worker: int) -> None:
        part = self.parts[self._at[worker]]
        if part.kind == "beside" and worker in self._inside and not self._door:
            self._go(worker, part, 0.0)
            return
        self._inside.discard(worker)
        self._since[worker] = self.now
        if part.kind == "outside":
            self._go(worker, part, 0.0)
        else:
            self._door.append(worker)
        self._serve()

    def _serve(self) -> None:
        """The first at the door enters if it may; who wants to be alone keeps it shut until all have left."""
        while self._door and self._alone is None:
            worker = self._door[0]
            part = self.parts[self._at[worker]]
            if part.kind == "alone" and self._inside:
                return
            self._door.popleft()
            waited = self.now - self._since[worker]
            self.waited[part.kind] += waited  # type: ignore[assignment]
            if part.kind == "alone":
                self._alone = worker
            else:
                self._inside.add(worker)
            self._go(worker, part, AGAIN_MS if waited else 0.0)

    def _go(self, worker: int, part: Part, more: float) -> None:
        spread = self._draw.uniform(0.8, 1.2) if part.kind == "alone" else self._draw.expovariate(1.0)
        heapq.heappush(self._ends, (self.now + part.ms * spread + more, worker))

    def _end(self, worker: int) -> None:
        if self._alone == worker:
            self._alone = None
        self._at[worker] = (self._at[worker] + 1) % len(self.parts)
        self.done += self._at[worker] == 0
        self._begin(worker)
        self._serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 6])
    parser.add_argument("--seconds", type=float, default=500.0, help="of simulated time")
    chosen = parser.parse_args()
    for name, parts in SCHEDULES.items():
        print(f"{name}: {sum(part.ms for part in parts):.0f} ms of work a candidate")
        for workers in chosen.workers:
            room = Room(parts, workers, 1000 * chosen.seconds)
            waited = sum(room.waited.values()) / room.done
            print(f"  {workers} workers: {1000 * room.done / room.now:.1f} a second, {waited:.0f} ms of waiting each")


if __name__ == "__main__":
    main()
