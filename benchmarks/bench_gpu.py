"""All figures that need an NVIDIA GPU, in pieces, into docs/benchmarks.md: `make bench-gpu`.

    python benchmarks/bench_gpu.py                   # the pieces that have no result yet, then the tables
    python benchmarks/bench_gpu.py --only throughput --again
    python benchmarks/bench_gpu.py --minutes 10      # no piece is begun that might end later; call again to go on

Each piece is a command of under ten minutes that leaves its result in build/benchmarks. One that fails is told at the
end and tried again by the next call.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tables import RESULTS, ROOT, Table, load, save, write

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Piece:
    """One command; `tables` are the results that it leaves, by name. `minutes` is more than it takes."""

    name: str
    command: tuple[str, ...]
    tables: tuple[str, ...]
    minutes: float = 3.0


PIECES = (
    Piece("throughput", ("benchmarks/verify_throughput.py", "--device", "cuda", "--apart", "300", "--count", "1000",
                         "--save", "throughput"), ("throughput-apart", "throughput"), 6),
    Piece("tests", ("benchmarks/bench_gpu.py", "--tests"), ("gpu-tests",), 8),
    Piece("agreement, measured", ("benchmarks/estimate_agreement.py", "measure"), (), 9),
    Piece("agreement, estimated", ("benchmarks/estimate_agreement.py", "estimate"), (), 9),
    Piece("agreement", ("benchmarks/estimate_agreement.py", "table"), ("estimate-agreement",), 1),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="pieces whose name begins so")
    parser.add_argument("--again", action="store_true", help="also those that have a result")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--tests", action="store_true", help="run the GPU tests and keep their count")
    chosen = parser.parse_args()
    if chosen.tests:
        sys.exit(run_tests())
    ends, failed = time.monotonic() + 60 * chosen.minutes, []
    for piece in PIECES:
        if not piece.name.startswith(chosen.only) or (has_result(piece) and not chosen.again):
            continue
        if time.monotonic() + 60 * piece.minutes > ends:
            print(f"{piece.name}: left for the next call")
            continue
        print(f"{piece.name} …", flush=True)
        if not run(piece):
            failed.append(piece.name)
    for path in sorted(RESULTS.glob("*.json")):
        write(load(path))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def has_result(piece: Piece) -> bool:
    """Whether there is nothing left to do. Pieces without a table go on where they stopped, quickly if at the end."""
    return bool(piece.tables) and all((RESULTS / f"{name}.json").exists() for name in piece.tables)


def run(piece: Piece) -> bool:
    """Run a piece; whether it ended well."""
    try:
        done = subprocess.run([sys.executable, *piece.command], cwd=ROOT, timeout=60 * piece.minutes, check=False)
    except subprocess.TimeoutExpired:
        print(f"{piece.name}: more than {piece.minutes:g} minutes", file=sys.stderr)
        return False
    return done.returncode == 0


def run_tests() -> int:
    """The tests that need a GPU, counted by file; pytest's own exit status."""
    report = RESULTS / "gpu-tests.xml"
    RESULTS.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests", "plugins", f"--junitxml={report}"]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if report.exists():
        save(test_table(report))
    return status


def test_table(report: Path) -> Table:
    """Counts of a test report, by file."""
    counts: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        kind = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts.setdefault(str(case.get("classname")).replace(".", "/") + ".py", Counter())[kind] += 1
    kinds = ("passed", "failed", "skipped")
    rows = [[name, *(count[kind] for kind in kinds)] for name, count in sorted(counts.items())]
    return Table("gpu-tests", ["tests", *kinds], rows, "make test-gpu")


if __name__ == "__main__":
    main()
