"""When to stop a run whose candidates cannot be judged: our faults teach nothing, and go on until someone mends them.

A single `INFRA` is left out of training and is no reason to stop. Decides nothing about rewards.
"""

from __future__ import annotations

from tritonrl_core.errors import InfraError
from tritonrl_core.types import Score, Status

MOST_IN_A_ROW = 16
"""Candidates in a row that could not be judged, after which a run stops."""


class FaultLimit:
    """Told of each score as it comes; raises `InfraError` when too many in a row are `INFRA`."""

    def __init__(self, most: int = MOST_IN_A_ROW) -> None:
        self._most = most
        self._in_a_row = 0

    def __call__(self, score: Score) -> None:
        self._in_a_row = self._in_a_row + 1 if score.verdict.status is Status.INFRA else 0
        if self._in_a_row >= self._most:
            raise InfraError(
                f"{self._most} completions in a row could not be judged, the last one because: {score.verdict.reason}",
                remedy="Mend that (`tritonrl doctor` says what this machine can do); the run can be resumed.",
            )
