"""Which of a candidate's cases a replay worker checks in one job. Plans are looked at; nothing runs.

The first case goes by itself, so that a wrong candidate costs no more than that. When it has passed, the others are
likely to pass as well, and are asked about all at once (`replay.together`). Where that does not say that all are right,
each is checked by itself after all.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from tritonrl_core.bench.large_cases import LARGE, given_bytes
from tritonrl_core.bench.plan.flow import right_only_by_launches
from tritonrl_core.bench.plan.schema import LaunchPlan, most_variants
from tritonrl_core.bench.prepare import Ready
from tritonrl_core.bench.timing.facts import has_atomics
from tritonrl_core.types import InputCase

MOST = 8
"""Cases in one job, and so at most as many plans as a worker keeps loaded (`replay.check.LOADED_PLANS`)."""

MOST_BYTES = 1 << 28
"""Bytes of all their buffers: they lie on the device together."""


MISSES, TRY_EVERY = 2, 8
"""After so many candidates of a task in a row that had to be checked one by one after all, only one in so many is
tried: a reference that changes its inputs, say, always takes a closer look."""


class Chances:
    """For which tasks it pays to check cases together. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._misses: Counter[str] = Counter()

    def pays(self, task_key: str) -> bool:
        """Whether to try the next candidate of a task."""
        with self._lock:
            missed = self._misses[task_key]
            self._misses[task_key] += missed >= MISSES  # counts those that are not tried as well
            return missed < MISSES or (missed - MISSES) % TRY_EVERY == TRY_EVERY - 1

    def learn(self, task_key: str, right: bool) -> None:
        """What came of a try."""
        with self._lock:
            if right:
                del self._misses[task_key]
            elif self._misses[task_key] < MISSES:
                self._misses[task_key] += 1


def together(
    case: InputCase, others: Sequence[InputCase], ready: Callable[[InputCase], Ready | None]
) -> list[tuple[InputCase, Ready]]:
    """The case and those of the others that may go with it, with their plans as far as they are `ready`; [] where it
    must go by itself."""
    found: list[tuple[InputCase, Ready]] = []
    room = MOST_BYTES
    for one in (case, *others):
        prepared = ready(one) if len(found) < MOST else None
        if prepared is not None and fits(prepared.plan):
            needed = sum(buffer.nbytes for buffer in prepared.plan.buffers)
            if needed <= room:
                room -= needed
                found.append((one, prepared))
        if not found:
            return []  # the case itself may not
    return found if len(found) > 1 else []


def fits(plan: LaunchPlan) -> bool:
    """Whether one run on one case tells all that is wanted of a plan: nothing to tune or to repeat, and no output that
    might be right without its launches."""
    return (
        right_only_by_launches(plan) and not has_atomics(plan) and most_variants(plan) <= 1
        and given_bytes(plan) <= LARGE
    )  # fmt: skip
