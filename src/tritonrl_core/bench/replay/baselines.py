"""Times of baselines measured before, by what they depend on: in memory, and in a folder for the next process.

A hint, not the truth: every timing runs the eager baseline a few times more and measures it again where it has drifted
(`replay.timing`). For the trusted parent.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tritonrl_core.types import InputCase, Task, TimingProtocol, content_key

Samples = list[list[float]]

SCHEMA = 2


def default_folder() -> Path:
    """Where this user's programs keep what they can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tritonrl" / "baselines"


class Baselines:
    """Samples by key and baseline's name. Thread-safe; a folder that cannot be used is done without."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` None keeps them in memory only."""
        self._folder = folder
        self._known: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._first: dict[str, threading.Lock] = {}

    def get(self, key: str, names: Sequence[str]) -> dict[str, Any]:
        """What is known of these baselines: `samples` by name, and `wall_us` of the eager one where that is known."""
        with self._lock:
            if key not in self._known:
                self._known[key] = self._read(key)
            entry = self._known[key]
            return {"samples": {name: entry["samples"][name] for name in names if name in entry["samples"]},
                    "wall_us": entry["wall_us"]}  # fmt: skip

    @contextmanager
    def known(self, key: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """As `get`; where some are not known, the first to ask is let through to measure them while others wait."""
        found = self.get(key, names)
        if len(found["samples"]) == len(set(names)):
            yield found
            return
        with self._lock:
            first = self._first.setdefault(key, threading.Lock())
        with first:
            found = self.get(key, names)
            if len(found["samples"]) < len(set(names)):
                yield found
                return
        yield found

    def put(self, key: str, samples: Mapping[str, Samples], wall_us: float | None) -> None:
        """Remember what was measured now."""
        with self._lock:
            entry = self._known.setdefault(key, {"samples": {}, "wall_us": None})
            entry["samples"].update(samples)
            entry["wall_us"] = wall_us or entry["wall_us"]
            self._write(key, entry)

    def _read(self, key: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"samples": {}, "wall_us": None}
        if self._folder is None:
            return empty
        try:
            found = json.loads((self._folder / f"{key}.json").read_text())
            samples = {str(name): [[float(us) for us in lane] for lane in lanes if lane]
                       for name, lanes in found["samples"].items()}  # fmt: skip
            sound = all(lanes and min(map(min, lanes)) > 0 for lanes in samples.values())
            return {"samples": samples, "wall_us": found["wall_us"]} if sound else empty
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return empty  # not there, or not ours: measured anew

    def _write(self, key: str, entry: Mapping[str, Any]) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".tmp", delete=False) as file:
                json.dump(entry, file)
            Path(file.name).replace(self._folder / f"{key}.json")
        except OSError:
            self._folder = None


def baseline_key(
    task: Task, case: InputCase, protocol: TimingProtocol, precision: str, machine: Mapping[str, str]
) -> str:
    """What the times of a task's baselines depend on. `machine` names device and versions."""
    how = [protocol.method != "simple", protocol.captures, protocol.trials, precision]
    return content_key(SCHEMA, task.key, case.signature, case.distribution, how, sorted(machine.items()))
