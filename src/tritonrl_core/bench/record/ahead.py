"""Recordings made before they are asked for: in the child that has just recorded the same candidate for another case.

A fork of the warm process and the page faults after it cost as much as recording does, so a second recording in the
same child is had at half its price. It is lost where the candidate never gets that far, because it is wrong on its
first case; whether it pays is therefore counted as it goes along. Nothing is recorded here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from tritonrl_core.types import CaseRequest, InputCase, Task

T = TypeVar("T")

KEPT = 1024
"""How many wait to be asked for; what is older is forgotten, and recorded again if it is asked for after all."""

WORTH = 0.4
"""Share of those made that must be asked for: what one costs by the sum of that and what it saves."""

IN_FLIGHT = 64.0
"""So many may be waiting before their number says anything."""

REMEMBERED = 400.0
"""After so many the counts are halved: what counts is what candidates are like now."""

TRY_EVERY = 16
"""While it does not pay, one in so many is recorded ahead all the same, to see whether it would."""


class Ahead(Generic[T]):
    """What was made ahead, by key, and whether to go on. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, T] = OrderedDict()
        self._made = self._used = 0.0
        self._asked = 0

    def pays(self) -> bool:
        """Whether to make one ahead now."""
        with self._lock:
            self._asked += 1
            return self._used + IN_FLIGHT >= WORTH * self._made or self._asked % TRY_EVERY == 0

    def put(self, key: str, made: T) -> None:
        """Keep one until it is asked for."""
        with self._lock:
            self._waiting[key] = made
            self._made += 1
            if self._made > REMEMBERED:
                self._made, self._used = self._made / 2, self._used / 2
            while len(self._waiting) > KEPT:
                self._waiting.popitem(last=False)

    def take(self, key: str) -> T | None:
        """The one for this key, once; None where there is none."""
        with self._lock:
            found = self._waiting.pop(key, None)
            self._used += found is not None
            return found


class Habit:
    """What is asked of a bench's candidates: the next one is likely to be asked for the same cases."""

    def __init__(self, make_cases: Callable[[Task, CaseRequest], list[InputCase]]) -> None:
        self._make_cases = make_cases
        self._request: CaseRequest | None = None
        self._made: dict[tuple[str, CaseRequest], list[InputCase]] = {}

    def cases(self, task: Task, request: CaseRequest) -> list[InputCase]:
        """The cases for a request; one for several is remembered."""
        if request.count > 1:
            self._request = request
        return list(self._cases(task, request))

    def after(self, task: Task, case: InputCase) -> list[InputCase]:
        """One case for each further signature that will be asked for if this case goes well; none for a small one."""
        if self._request is None:
            return []
        cases = {item.signature: item for item in reversed(self._cases(task, self._request))}
        return list(cases.values()) if cases.pop(case.signature, None) is not None else []

    def others(self, task: Task, case: InputCase) -> list[InputCase]:
        """The other cases that are asked for where this one is; none where it is not one of those."""
        cases = [] if self._request is None else self._cases(task, self._request)
        return [item for item in cases if item != case] if case in cases else []

    def _cases(self, task: Task, request: CaseRequest) -> list[InputCase]:
        """Made once for a task: they are asked for by every candidate, and several times."""
        key = (task.key, request)
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= KEPT:
                self._made.clear()
            made = self._made[key] = self._make_cases(task, request)
        return made
