"""Verdicts that a service has given: all of them in its store, the last ones in memory. Judges nothing.

In memory stays, for each verdict, where its line begins (some 200 bytes); a line is read again when it is asked for.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path

from tritonrl_core.errors import UsageError
from tritonrl_core.runs import Run, score_from_data
from tritonrl_core.types import Score, Status

Key = tuple[str, str]

KEPT = 10_000
"""Scores that stay in memory whole (a few KiB each)."""


class Known:
    """The scores of a run's folder, by task and code. Thread-safe; the one writer of the folder's scores."""

    def __init__(self, run: Run, kept: int = KEPT) -> None:
        """Raises `UsageError` for a malformed line."""
        self._run, self._kept = run, kept
        self._lock = threading.Lock()
        self._places: dict[Key, int] = {}
        self._recent: OrderedDict[Key, Score] = OrderedDict()
        path = run.paths.scores
        self._find(path)
        self._lines = path.open("rb")

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def get(self, key: Key) -> Score | None:
        """The score of this content; None where it has none yet."""
        with self._lock:
            score = self._recent.get(key)
            if score is not None:
                self._recent.move_to_end(key)
                return score
            place = self._places.get(key)
            if place is None:
                return None
            self._lines.seek(place)
            score = score_from_data(json.loads(self._lines.readline()))
            self._keep(key, score)
            return score

    def add(self, score: Score) -> None:
        """Write a score down; it is on the disk's way before anyone is told of it. INFRA is not kept."""
        if score.verdict.status is Status.INFRA:
            return
        key = (score.task_key, score.candidate.key)
        with self._lock:
            place = self._run.paths.scores.stat().st_size
            self._run.append_score(score, stage="serve")
            self._places[key] = place
            self._keep(key, score)

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._lines.close()

    def _keep(self, key: Key, score: Score) -> None:
        self._recent[key] = score
        self._recent.move_to_end(key)
        while len(self._recent) > self._kept:
            self._recent.popitem(last=False)

    def _find(self, path: Path) -> None:
        place = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    counts = row.get("verification") == self._run.verification
                    if counts and row["verdict"]["status"] != Status.INFRA:
                        self._places[row["task_key"], _code_key(row)] = place
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise UsageError(
                        f"{path}:{number}: not a score: {error!r}", remedy="Take this line out; all others are whole."
                    ) from error
                place += len(line)


def _code_key(row: dict[str, object]) -> str:
    return score_from_data(row).candidate.key
