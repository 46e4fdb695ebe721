"""Beginning early, where cores are idle, with what a candidate will be asked for next if it goes well.

One candidate by itself would wait for its compilations one after the other, with most cores idle. A batch keeps all of
them busy, and there what nobody asks for in the end would only be in the way. What is begun is its owner's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Early:
    """Work of one bench that takes a core, counted. Safe to use from many threads; close it to end its own."""

    def __init__(self, workers: int) -> None:
        """`workers` is how many can work at a time; half of them may be at what was asked for when more is begun."""
        self._most = workers // 2
        self._under_way = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max(1, self._most), thread_name_prefix="early")

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Around work that was asked for."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def begin(self, work: Callable[[], T]) -> Future[T] | None:
        """Begin work that was not asked for yet; None where others need the cores."""
        with self._lock:
            if self._under_way > self._most:
                return None
            self._under_way += 1
        return self._threads.submit(self._counted, work)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _counted(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self._under_way += more
