"""What was found out about tasks once, kept on disk by content: one JSON object a line, append-only.

Losing it costs time only: a line that cannot be read is as if it were not there, and a folder that cannot be written
keeps nothing. No torch here.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


VERSIONS = {"fitness": 2, "graphs": 2, "facts": 1}
"""What is kept, and the version of what finds it out: raised when that changes its answers."""


def cache_folder() -> Path:
    """Where tasks keep what they need not fetch or compute twice."""
    return Path(os.environ.get("TRITONRL_CACHE") or Path.home() / ".cache" / "tritonrl")


def kept(what: str) -> Memo:
    """What was found out about tasks, of one kind of `VERSIONS`, with the torch that is installed."""
    return _shared(f"{what}-{VERSIONS[what]}-{_installed('torch')}", cache_folder())


@cache
def _installed(distribution: str) -> str:
    return version(distribution)


@lru_cache(maxsize=16)
def _shared(name: str, folder: Path) -> Memo:
    return Memo(name, folder)


class Memo:
    """Answers by key. `name` tells apart what is asked and by which version of the asker; see `recall`."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._path = (folder or cache_folder()) / f"{name}.jsonl"
        self._known: dict[str, Any] | None = None

    def recall(self, key: str, find_out: Callable[[], Any]) -> Any:
        """The answer kept under `key`, or else what `find_out` gives (plain JSON data), which is kept."""
        if self._known is None:
            self._known = _read(self._path)
        if key not in self._known:
            self._known[key] = find_out()
            self._append(key)
        return self._known[key]

    def _append(self, key: str) -> None:
        assert self._known is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        except OSError as error:
            log.info("nothing is kept in %s: %s", self._path, error)


def _read(path: Path) -> dict[str, Any]:
    known: dict[str, Any] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return known
    for line in lines:
        try:
            key, value = json.loads(line)
        except ValueError:  # a line cut off by a kill
            continue
        known[key] = value
    return known
