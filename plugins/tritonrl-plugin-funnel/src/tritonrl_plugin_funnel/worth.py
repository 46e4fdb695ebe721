"""Whether running a kernel on the CPU before it is compiled is worth it, from how often it ended one lately.

Only where that work is not used again: there it costs a right kernel a seventh of its compilation, and saves a wrong
one all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from tritonrl_core.types import Objection

COST = 0.15
"""What a small replay costs, as a share of what it may save: 30 of 200 ms of a core (docs/benchmarks.md)."""

FORGET = 0.95
"""What an answer counts for after another one: some twenty of them count."""

STILL = 64
"""One in so many is asked where it is not worth it, to see whether that has changed, and the next one too if it ended.
Where all are right that is what asking costs: about 30 ms of a core, and 4 of the verifier's process, for each."""


class Worth:
    """The share of candidates that were ended, lately. Thread-safe; starts from one half."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ended, self._asked, self._left_out = 1.0, 2.0, 0

    def ask(self) -> bool:
        """Whether to ask about the next candidate."""
        with self._lock:
            if self._ended / self._asked >= COST:
                return True
            self._left_out = (self._left_out + 1) % STILL
            return self._left_out == 0

    def learn(self, objection: Objection | None) -> Objection | None:
        """Take an answer in; gives it back."""
        with self._lock:
            self._asked = FORGET * self._asked + 1
            self._ended = FORGET * self._ended + (objection is not None)
            if objection is not None:
                self._left_out = STILL - 1
        return objection

    def state_dict(self) -> dict[str, Any]:
        with self._lock:
            return {"ended": self._ended, "asked": self._asked, "left_out": self._left_out}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            self._ended = float(state.get("ended", self._ended))
            self._asked = float(state.get("asked", self._asked))
            self._left_out = int(state.get("left_out", self._left_out))
