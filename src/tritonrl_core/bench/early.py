"""Beginning early with what a candidate will be asked for next if it goes well.

One candidate by itself would wait for its compilations one after the other, with most cores idle. A batch keeps all of
them busy, and there what nobody asks for in the end would only be in the way; so what is light waits until cores are
idle. What is heavy does not: a kernel that takes seconds to compile, twice, is what the whole batch waits for at its
end. What is begun is its owner's business.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

HEAVY = 2000.0
"""Effort (`effort.elements_a_thread`) from which work is begun although all cores are busy: about a second."""

WORTH = 0.5
"""Share of the heavy ones so begun that must be asked for in the end; where fewer are, they wait as the others do."""

REMEMBERED = 100.0
"""After so many heavy ones the counts are halved: what counts is what candidates are like now."""


LATEST_S = 20.0
"""A wish that is older is not begun: its candidate, kept by whoever judges it, has most likely failed meanwhile."""


class Wish(Generic[T]):
    """Work that may be asked for. Whoever wishes holds it: one that is let go of is not begun any more."""

    def __init__(self, work: Callable[[], T], effort: float) -> None:
        self.work, self.effort = work, effort
        self.begun: Future[T] | None = None
        self.taken = False
        self.made = time.monotonic()


class Early:
    """Work of one bench that takes a core, counted. Safe to use from many threads; close it to end its own."""

    def __init__(self, workers: int) -> None:
        """`workers` is how many can work at a time; half of them may be at what was asked for when more is begun, and
        half of them at what was begun early."""
        self._most = workers // 2
        self._under_way = self._running = 0
        self._made = self._used = 0.0
        self._wishes: list[weakref.ref[Wish[Any]]] = []
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max(1, self._most), thread_name_prefix="early")

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Around work that was asked for."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._begin()

    def wish(self, work: Callable[[], T], effort: float = 0.0) -> Wish[T]:
        """Work to begin as soon as cores are idle, the heaviest first; at once where it is heavy."""
        wish = Wish(work, effort)
        with self._lock:
            self._wishes.append(weakref.ref(wish))
            self._begin()
        return wish

    def take(self, wish: Wish[T]) -> T | None:
        """What the work gave, or raised; None where it was not begun, and will not be."""
        with self._lock:
            self._wishes = [known for known in self._wishes if known() is not wish]
            begun = wish.begun
            self._used += begun is not None and wish.effort >= HEAVY and not wish.taken
            wish.taken = True
        return begun.result() if begun is not None else None

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        with self._lock:
            self._most = 0
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        """Begin what may be begun now. Under the lock."""
        while (wish := self._next()) is not None:
            self._wishes = [known for known in self._wishes if known() is not wish]
            self._under_way += 1
            self._running += 1
            wish.begun = self._threads.submit(self._counted, wish.work)

    def _next(self) -> Wish[Any] | None:
        if self._running >= self._most:
            return None
        first = time.monotonic() - LATEST_S
        alive = [wish for known in self._wishes if (wish := known()) is not None and wish.made >= first]
        self._wishes = [weakref.ref(wish) for wish in alive]
        heaviest = max(alive, key=lambda wish: wish.effort, default=None)
        if heaviest is None or (self._under_way > self._most and not self._pays(heaviest)):
            return None
        self._count_heavy(heaviest)
        return heaviest

    def _pays(self, wish: Wish[Any]) -> bool:
        """Whether to begin it although all cores are busy."""
        return wish.effort >= HEAVY and self._used + self._most >= WORTH * self._made

    def _count_heavy(self, wish: Wish[Any]) -> None:
        self._made += wish.effort >= HEAVY
        if self._made > REMEMBERED:
            self._made, self._used = self._made / 2, self._used / 2

    def _counted(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            with self._lock:
                self._under_way -= 1
                self._running -= 1
                self._begin()
