"""Which place of a fleet answers a call, and what happens when one is lost. Knows nothing of how calls travel.

Calls have no effect but their answer, so what a lost place had is asked elsewhere, and nobody hears of it but the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tritonrl_core.errors import InfraError, PlaceLost
from tritonrl_core.types import BenchPlace

log = logging.getLogger(__name__)

MOST_LOSSES = 5
"""Places that one call may lose before it counts as the cause."""

PAUSE_S = 0.2
"""After a call's first loss, twice as long after each more: where many places go at once, others find that out too."""

LOOK_S = 0.5
"""How often lost places are looked at while one is waited for."""

REMEMBERED = 65_536
"""Names whose place is remembered."""


class Places:
    """The places of a fleet. `ask` may be called from any number of threads."""

    def __init__(self, places: Sequence[BenchPlace], patience_s: float = 600.0, slack: int = 0) -> None:
        """`slack`: how many calls more than another a place may have before what it knows goes elsewhere."""
        if not places:
            raise InfraError("a fleet without places", remedy="Report it.")
        self._places = list(places)
        self._patience_s, self._slack = patience_s, slack
        self._load = [0] * len(places)
        self._lost: set[int] = set()
        self._given = [0] * len(places)
        self._home: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        self.losses = self.repeated = 0

    def ask(self, call: Any, home: str = "", like: str = "") -> Any:
        """The answer to a call: from the place where calls with this `home` go; if there is none yet, from where the
        last with this `like` went, unless it has too much to do; else from the one with the least to do.

        Raises what the place raises, and `InfraError` where none is left.
        """
        for attempt in range(MOST_LOSSES):
            number = self._take(home, like)
            try:
                return self._places[number].ask(call)
            except PlaceLost as lost:
                self._lose(number, lost)
                time.sleep(PAUSE_S * 2**attempt)
            finally:
                with self._lock:
                    self._load[number] -= 1
        raise InfraError(f"{MOST_LOSSES} places were lost with the same call, {self._places[number].name} the last")

    @property
    def alive(self) -> int:
        """Places that are not lost."""
        with self._lock:
            return len(self._places) - len(self._lost)

    def close(self) -> None:
        """Close all places. Safe to call twice."""
        self._closed = True
        with ThreadPoolExecutor(len(self._places)) as pool:  # each may wait for a process
            list(pool.map(lambda place: place.close(), self._places))

    def _take(self, home: str, like: str) -> int:
        began = time.monotonic()
        while True:
            if self._closed:
                raise InfraError("the bench is closed")
            self._look()
            with self._lock:
                number = self._chosen(home, like)
                if number is not None:
                    self._load[number] += 1
                    self._remember(number, home, like)
                    return number
            if time.monotonic() - began > self._patience_s:
                raise InfraError(f"all {len(self._places)} places of the fleet are lost, {self._patience_s:.0f} s long")
            time.sleep(LOOK_S)

    def _chosen(self, home: str, like: str) -> int | None:
        known = self._home.get(home, -1)
        if known >= 0 and known not in self._lost:
            return known
        here = [number for number in range(len(self._places)) if number not in self._lost]
        if not here:
            return None
        least = min(here, key=lambda place: (self._load[place], self._given[place]))
        known = self._home.get(like, -1)
        return known if known in here and self._load[known] <= self._load[least] + self._slack else least

    def _remember(self, number: int, home: str, like: str) -> None:
        self._given[number] += self._home.get(home, -1) != number
        for name in filter(None, (home, like)):
            self._home[name] = number
            self._home.move_to_end(name)
        while len(self._home) > REMEMBERED:
            self._home.popitem(last=False)

    def _look(self) -> None:
        """Take back lost places that can be asked again."""
        if not self._lost:
            return
        with self._lock:
            lost = list(self._lost)
        for number in lost:
            if self._places[number].back():
                log.warning("%s is back", self._places[number].name)
                with self._lock:
                    self._lost.discard(number)

    def _lose(self, number: int, lost: PlaceLost) -> None:
        with self._lock:
            self.repeated += 1
            new = number not in self._lost
            self.losses += new
            self._lost.add(number)
        if new and not self._closed:
            log.warning("%s is lost, its work is done elsewhere: %s", self._places[number].name, lost.message)
