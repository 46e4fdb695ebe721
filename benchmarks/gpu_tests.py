"""The tests that need an NVIDIA GPU, file by file, and their count as a table: `make test-gpu`.

    python benchmarks/gpu_tests.py [--minutes 9] [--again]

Each file runs in a process of its own, so that one that breaks the device costs no other. Files that passed are not run
again unless asked; what there was no time for is left for the next call. Exits 1 where a test failed or some are left.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pieces import MOST_MINUTES
from tables import RESULTS, ROOT, Table, save

FOLDER = RESULTS / "gpu-tests"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--again", action="store_true", help="also the files that passed")
    chosen = parser.parse_args()
    ends = time.monotonic() + 60 * chosen.minutes
    if chosen.again:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    left = []
    for path in gpu_test_files():
        left += [] if run(path, ends) else [str(path)]
        save(table_of(sorted(FOLDER.glob("*.xml")), left))  # at once: it may be ended from outside
    reports = sorted(FOLDER.glob("*.xml"))
    if left:
        print(f"left for the next call, or longer than there was time for: {', '.join(left)}", file=sys.stderr)
    sys.exit(bool(left) or not all(map(passed, reports)))


def run(path: Path, ends: float) -> bool:
    """Run a file's GPU tests, unless they passed before; False where there is no time for them."""
    report = FOLDER / (str(path).replace("/", "-") + ".xml")
    if report.exists() and passed(report):
        return True
    seconds = min(60 * MOST_MINUTES - 15, ends - time.monotonic())
    if seconds < 20:
        return False
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(path), f"--junitxml={report}"]
    try:
        subprocess.run(command, cwd=ROOT, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def gpu_test_files() -> list[Path]:
    """Files of tests in which some are marked `gpu`, as paths from the repository's root: the core's, then those in
    which a plugin is held to its contract, of which one test asks for a GPU."""
    core, plugins = (ROOT / "tests").rglob("test_*.py"), (ROOT / "plugins").glob("*/tests/**/test_*.py")
    found = [
        path for files, marks in ((core, ("mark.gpu",)), (plugins, ("mark.gpu", "(PluginContract)")))
        for path in sorted(files) if any(mark in path.read_text(encoding="utf-8") for mark in marks)
    ]  # fmt: skip
    return [path.relative_to(ROOT) for path in found]


def passed(report: Path) -> bool:
    """Whether a report has tests and none that failed."""
    count = counted([report])
    return bool(count) and not any(kinds["failed"] for kinds in count.values())


def counted(reports: Sequence[Path]) -> dict[str, Counter[str]]:
    """Tests that passed, failed and were skipped, by file."""
    counts: dict[str, Counter[str]] = {}
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            kind = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            name = re.sub(r"\.Test\w*$", "", str(case.get("classname"))).replace(".", "/") + ".py"
            counts.setdefault(name, Counter())[kind] += 1
    return counts


def table_of(reports: Sequence[Path], left: Sequence[str] = ()) -> Table:
    """Counts by file; `left` are the files that there was no time for."""
    kinds = ("passed", "failed", "skipped")
    rows = [[name, *(count[kind] for kind in kinds)] for name, count in sorted(counted(reports).items())]
    notes = [f"No time was left for {', '.join(left)}"] if left else []
    return Table("gpu-tests", ["tests", *kinds], rows, "make test-gpu", notes)


if __name__ == "__main__":
    main()
