"""What `gpu_tests` has pytest note while it runs: which test is at work, and how each ended, one line of JSON each.

A plugin of pytest's (`-p gpu_test_notes`); the file is named by an environment variable. Tests that ended there already
are left out, so that a run which was cut off goes on test by test.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE = "GPU_TEST_NOTES"
LIMIT_S = 120.0
"""How long a test may take that is not marked `timeout`, what it sets up first included."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has ended."""
    known = {note["test"] for note in read(_path()) if "outcome" in note}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in known])
    items[:] = [item for item in items if item.nodeid not in known]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note a test that begins, with its limit."""
    mark = item.get_closest_marker("timeout")
    limit = float(mark.args[0]) if mark and mark.args else LIMIT_S
    write(_path(), {"test": item.nodeid, "limit": limit, "began": time.time()})
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended: its call, or what came in its place; a failure afterwards counts more."""
    if report.when == "call" or report.outcome != "passed":
        write(_path(), {"test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 1)})


def write(path: Path, note: dict[str, Any]) -> None:
    """Append one note; it is there even if the process ends the moment after."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """All notes; a line that was cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def _path() -> Path:
    return Path(os.environ[FILE])
