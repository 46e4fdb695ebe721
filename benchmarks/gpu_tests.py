"""The tests that need an NVIDIA GPU, file by file, and their count as a table: `make test-gpu`.

    python benchmarks/gpu_tests.py [--minutes 9] [--again] [PATTERN]

Each file runs in a process of its own, so that one that breaks the device costs no other, and each test has a limit of
seconds (its mark `timeout`, else `gpu_test_notes.LIMIT_S`): one that takes longer is ended with its process and has
failed; the file goes on with the next one. Tests that passed are not run again unless asked; what there was no time for
is left for the next call. Exits 1 where a test failed or some are left.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_test_notes import FILE, LIMIT_S, read, write
from tables import RESULTS, ROOT, Table, save

FOLDER = RESULTS / "gpu-tests"

GRACE_S = 15.0
"""How much longer than its limit a test may take to say so itself."""

LEAST_S = 20.0
"""With less time than this a file is not begun."""

WHOLE: dict[str, Any] = {"whole": True}
"""What is noted when all tests of a file have ended."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="", help="only files whose paths hold this")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--again", action="store_true", help="also the tests that passed")
    chosen = parser.parse_args()
    ends = time.monotonic() + 60 * chosen.minutes
    if chosen.again:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for notes in FOLDER.glob("*.jsonl"):
        forget_failures(notes)
    left = []
    for path in gpu_test_files(chosen.pattern):
        notes = FOLDER / (str(path).replace("/", "-") + ".jsonl")
        left += [] if run([str(path)], notes, ends) else [str(path)]
        save(table_of(sorted(FOLDER.glob("*.jsonl")), left))  # at once: it may be ended from outside
    if left:
        print(f"left for the next call: {', '.join(left)}", file=sys.stderr)
    failed = any(outcome == "failed" for notes in FOLDER.glob("*.jsonl") for outcome in outcomes(notes).values())
    sys.exit(bool(left) or failed)


def run(arguments: Sequence[str], notes: Path, ends: float) -> bool:
    """Run the GPU tests of a file that have not ended yet; False where some are left because there is no time."""
    if WHOLE in read(notes):
        return True
    while ends - time.monotonic() > LEAST_S:
        ended = _once(arguments, notes, ends)
        if ended:
            write(notes, WHOLE)
        if ended is not None:
            return ended
    return False


def _once(arguments: Sequence[str], notes: Path, ends: float) -> bool | None:
    """One process of pytest: True where it ended with all of its tests, False where the time is up, None where a test
    has to be left out for the others to go on."""
    options = ["-q", "-m", "gpu", "-p", "gpu_test_notes", "-o", f"timeout={LIMIT_S:g}", "-c", "pyproject.toml"]
    command = [sys.executable, "-m", "pytest", *options]
    where = {"PYTHONPATH": os.pathsep.join([str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])}
    environment = {**os.environ, **where, FILE: str(notes)}
    with subprocess.Popen([*command, *arguments], cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            while process.poll() is None:
                time.sleep(0.2)
                at_work = running(notes)
                if time.monotonic() > ends:
                    return False
                if at_work and time.time() > at_work["began"] + at_work["limit"] + GRACE_S:
                    _failed(notes, at_work["test"], f"longer than its limit of {at_work['limit']:g} s")
                    return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode in (0, 1, 5):  # passed, some failed, none left
        return True
    at_work = running(notes)
    _failed(notes, at_work["test"] if at_work else f"{arguments[-1]}::", f"pytest ended with {process.returncode}")
    return None if at_work else True


def _failed(notes: Path, test: str, why: str) -> None:
    write(notes, {"test": test, "outcome": "failed", "why": why})
    print(f"{test}: {why}", file=sys.stderr, flush=True)


def running(notes: Path) -> dict[str, Any] | None:
    """The test that is at work, as it was noted; None where none is."""
    begun: dict[str, dict[str, Any]] = {}
    for note in read(notes):
        if "outcome" in note:
            begun.pop(note["test"], None)
        elif "limit" in note:
            begun = {note["test"]: note}
    return next(iter(begun.values()), None)


def outcomes(notes: Path) -> dict[str, str]:
    """How each test ended, by name: passed, failed or skipped."""
    found: dict[str, str] = {}
    for note in read(notes):
        if "outcome" in note and found.get(note["test"]) != "failed":
            found[note["test"]] = note["outcome"]
    return found


def forget_failures(notes: Path) -> None:
    """Leave only what passed, so that the rest is run again: what was skipped may be for another call's machine."""
    ended, whole = outcomes(notes), WHOLE in read(notes)
    notes.unlink()
    passed = [test for test, outcome in ended.items() if outcome == "passed"]
    for test in passed:
        write(notes, {"test": test, "outcome": "passed"})
    if whole and len(passed) == len(ended):
        write(notes, WHOLE)


def gpu_test_files(pattern: str = "") -> list[Path]:
    """Files of tests in which some are marked `gpu`, as paths from the repository's root: the core's, then those in
    which a plugin is held to its contract, of which one test asks for a GPU."""
    core, plugins = (ROOT / "tests").rglob("test_*.py"), (ROOT / "plugins").glob("*/tests/**/test_*.py")
    found = [
        path for files, marks in ((core, ("mark.gpu",)), (plugins, ("mark.gpu", "(PluginContract)")))
        for path in sorted(files) if any(mark in path.read_text(encoding="utf-8") for mark in marks)
    ]  # fmt: skip
    return [path for path in (path.relative_to(ROOT) for path in found) if pattern in str(path)]


def counted(notes: Sequence[Path]) -> dict[str, Counter[str]]:
    """Tests that passed, failed and were skipped, by file."""
    counts: dict[str, Counter[str]] = {}
    for path in notes:
        for test, outcome in outcomes(path).items():
            counts.setdefault(re.sub(r"::.*", "", test, flags=re.DOTALL), Counter())[outcome] += 1
    return counts


def table_of(notes: Sequence[Path], left: Sequence[str] = ()) -> Table:
    """Counts by file; `left` are the files that there was no time for, or not for all of their tests."""
    kinds = ("passed", "failed", "skipped")
    rows = [[name, *(count[kind] for kind in kinds)] for name, count in sorted(counted(notes).items())]
    said = [f"No time was left for all of {', '.join(left)}"] if left else []
    return Table("gpu-tests", ["tests", *kinds], rows, "make test-gpu", said)


if __name__ == "__main__":
    main()
