"""Whose turn it is: which worker takes which job. Locks and counts only; it knows nothing of processes or jobs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Turns:
    """Who may use which worker: first come, first served, but a worker first takes what it has worked on before.

    What it has worked on is there already: loaded kernels, cases worked out. `each` is how many may use one worker at a
    time: one whose job it does, and one whose job lies ready, so that it need not wait for us in between.
    """

    LOOK = 16
    """How many of those that wait may be passed over for one that the worker knows."""

    def __init__(self, workers: int, each: int = 1) -> None:
        self._lock = threading.Lock()
        self._idle = [worker for _ in range(each) for worker in range(workers)]
        self._waiting: list[_Ticket] = []
        self._last: OrderedDict[str, int] = OrderedDict()

    @contextmanager
    def one(self, near: str, *, only: bool = False) -> Iterator[int]:
        """The number of a worker, until the context is left; with `only` always the same for the same `near`."""
        ticket = _Ticket(near, only)
        with self._lock:
            self._waiting.append(ticket)
            self._deal()
        ticket.dealt.wait()
        try:
            yield ticket.worker
        finally:
            with self._lock:
                self._idle.append(ticket.worker)
                self._deal()

    def _deal(self) -> None:
        while self._idle and (match := self._match()):
            worker, ticket = match
            self._idle.remove(worker)
            self._waiting.remove(ticket)
            ticket.worker = worker
            if ticket.near:
                self._last[ticket.near] = worker
                self._last.move_to_end(ticket.near)
                if len(self._last) > 4096:
                    self._last.popitem(last=False)
            ticket.dealt.set()

    def _match(self) -> tuple[int, _Ticket] | None:
        """The first that waits for a worker that is idle and knows it; else the first, and who has been idle longest.

        Nobody is passed over more than `LOOK` times, but for those who want one worker only, which is not idle.
        """
        able = [ticket for ticket in self._waiting if not ticket.only or self._known(ticket) in (-1, *self._idle)]
        if not able:
            return None
        first = able[0]
        if first.passed < self.LOOK:
            for ticket in able[: self.LOOK]:
                worker = self._known(ticket)
                if worker in self._idle:
                    first.passed += ticket is not first
                    return worker, ticket
        return (self._known(first) if self._known(first) in self._idle else self._idle[0]), first

    def _known(self, ticket: _Ticket) -> int:
        return self._last.get(ticket.near, -1)


@dataclass(eq=False)
class _Ticket:
    """One who waits for a worker, and is woken alone when it is his: of a batch, dozens wait."""

    near: str
    only: bool = False
    worker: int = -1
    dealt: threading.Event = field(default_factory=threading.Event)
    passed: int = 0
