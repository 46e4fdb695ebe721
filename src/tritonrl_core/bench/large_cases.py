"""Cases of more than a gigabyte: which of them a candidate is compared on in double precision.

Double precision doubles what a reference reads and writes and costs it many times the arithmetic. So of a candidate's
large cases two are compared with it; on the others the reference runs in its working dtype, and what its error was on
those two stands for its own. Which cases those are follows from the order in which they are asked for, which is the
same for all candidates of a task. Bookkeeping only; how much is allowed is `allowance`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritonrl_core.bench.plan.schema import LaunchPlan, TensorRef
from tritonrl_core.bench.replay.job import Large

LARGE = 1 << 30
"""Bytes of inputs, parameters and outputs beyond which a case counts as large."""

MOST_DOUBLE = 2


class LargeCases:
    """The large cases of one candidate, by key. Not thread-safe: its program's lock is around it."""

    def __init__(self) -> None:
        self._double: list[str] = []
        self._own: dict[str, Sequence[tuple[float, float] | None]] = {}

    def how(self, key: str, plan: LaunchPlan) -> Large | None:
        """How a case is compared; None where it is not large."""
        if given_bytes(plan) <= LARGE:
            return None
        if key not in self._double and len(self._double) < MOST_DOUBLE:
            self._double.append(key)
        return Large(True) if key in self._double else Large(False, self._elsewhere())

    def learn(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep what the reference's error was, where an answer says so."""
        if key in self._double and answer.get("own_error"):
            self._own[key] = [None if own is None else (own[0], own[1]) for own in answer["own_error"]]

    def _elsewhere(self) -> tuple[tuple[float, float] | None, ...]:
        """The larger of what was measured, output by output."""
        measured = list(self._own.values())
        found: list[tuple[float, float] | None] = []
        for outputs in zip(*measured, strict=False):
            known = [own for own in outputs if own is not None]
            found.append((max(own[0] for own in known), max(own[1] for own in known)) if known else None)
        return tuple(found)


def given_bytes(plan: LaunchPlan) -> int:
    """Bytes of a plan's inputs, parameters and outputs."""
    refs = [*plan.inputs, *plan.parameters.values(), *(ref for ref in plan.outputs if isinstance(ref, TensorRef))]
    return sum(plan.buffers[number].nbytes for number in {ref.buffer for ref in refs})
