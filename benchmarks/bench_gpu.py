"""All figures that need an NVIDIA GPU, in pieces, into docs/benchmarks.md: `make bench-gpu`.

    python benchmarks/bench_gpu.py                   # the pieces that have no result yet, then the tables
    python benchmarks/bench_gpu.py --list            # their names and minutes
    python benchmarks/bench_gpu.py --only throughput,mutants --again
    python benchmarks/bench_gpu.py --minutes 10      # no piece is begun that might end later; call again to go on
    python benchmarks/bench_gpu.py --share 0.3       # less of each: runs, groups and minutes
    python benchmarks/bench_gpu.py --tests           # the GPU tests alone, file by file: `make test-gpu`

Each piece is a command of under ten minutes that leaves its result in build/benchmarks and goes on where it stopped.
One that fails is told at the end and tried again by the next call. Pieces may run side by side on several GPUs
(`CUDA_VISIBLE_DEVICES`), each with cores of its own (`taskset`).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import RESULTS, ROOT, Table, save, write_all

from tritonrl_core.bench.resolve import visible_gpus

HERE = Path(__file__).resolve().parent
MOST_MINUTES = 10.0


@dataclass(frozen=True)
class Piece:
    """One command; `tables` are the results that it leaves, by name. `minutes` is more than it takes. Numbers in braces
    are how much it does, and shrink with `--share`. `gpus` is how many it needs.

    `text` is the name under which what it prints (Markdown, or one line of JSON) becomes a table.
    """

    name: str
    command: str
    tables: tuple[str, ...] = ()
    minutes: float = 3.0
    text: str = ""
    gpus: int = 1


KEPT = "build/benchmarks"
"""Where pieces that go on keep what they have."""

INTEGRITY = f"benchmarks/integrity.py run --device cuda --rows {KEPT}/integrity-cuda.jsonl"
ABLATIONS = f"benchmarks/ablations.py --out {KEPT}/ablations"
ONE_EACH = ",".join(["baseline", *(f"{name}_only" for name in (
    "multi_input", "sandbox", "staged_eval", "calibrated_timing", "fusion_data", "curriculum"))])  # fmt: skip

PIECES = (
    Piece("throughput", "benchmarks/verify_throughput.py --device cuda --apart {300} --count {1000} --save throughput",
          ("throughput-apart", "throughput"), 6),
    Piece("throughput by family", "benchmarks/throughput_parts.py families --count {32}", ("throughput-families",), 4),
    Piece("throughput by mix", "benchmarks/throughput_parts.py mixes --tasks {20}", ("throughput-mixes",), 4),
    Piece("throughput by cores", "benchmarks/throughput_parts.py cores --seconds {20}", ("throughput-cores",), 5),
    Piece("tests", "benchmarks/bench_gpu.py --tests --minutes {9.0}", ("gpu-tests",), 9.5),
    Piece("timing quality, measured", f"benchmarks/timing_quality.py run --out {KEPT}/timing --seconds {{330}}", (), 8),
    Piece("timing quality, table", f"benchmarks/timing_quality.py table --out {KEPT}/timing", (), 1, "timing-quality"),
    Piece("timing load", f"benchmarks/timing_quality.py load --out {KEPT}/timing", (), 5, "timing-load"),
    Piece("timing noise", f"benchmarks/timing_noise.py --out {KEPT}/noise --seconds {{200}}", (), 5, "timing-noise"),
    Piece("timing in training", f"benchmarks/timing_training.py --out {KEPT}/timing-training", (), 6,
          "timing-training"),
    Piece("milliseconds", "benchmarks/gpu_milliseconds.py --seconds {240}", ("gpu-milliseconds",), 6),
    Piece("agreement, measured", "benchmarks/estimate_agreement.py measure --seconds {500}", (), 9),
    Piece("agreement, estimated", "benchmarks/estimate_agreement.py estimate --seconds {500}", (), 9),
    Piece("agreement, table", "benchmarks/estimate_agreement.py table", ("estimate-agreement",), 1),
    Piece("integrity cheats", f"{INTEGRITY} --presets all_extensions,baseline --only cheats --minutes {{8.0}}",
          (), 9.5),
    Piece("integrity honest", f"{INTEGRITY} --presets all_extensions --only honest --runs 20 --minutes {{8.0}}",
          (), 9.5),
    Piece("integrity presets", f"{INTEGRITY} --presets {ONE_EACH} --runs 2 --minutes {{8.0}}", (), 9.5),
    Piece("integrity table", f"benchmarks/integrity.py table --rows {KEPT}/integrity-cuda.jsonl --kinds "
          "--into docs/integrity.md", (), 1),
    Piece("mutants", "benchmarks/mutants.py --device cuda --count 560 --runs 0 --seconds {400}",
          ("mutants-cuda-kind", "mutants-cuda-family"), 9),
    *(Piece(f"mutants, right kernels {level}", "benchmarks/mutants.py --device cuda --count 0 --runs 200 --seconds "
            f"{{400}} --only {level}_", (f"mutants-cuda-refused-{level}",), 9)
      for level in ("l1", "l2")),
    *(Piece(f"golden refusals, {level}", "benchmarks/golden_refusals.py --device cuda --size full --runs 200 "
            f"--seconds {{240}} --processes 8 --only {level}_", (f"golden-refusals-cuda-full-{level}",), 6)
      for level in ("l1", "l2")),
    Piece("five inputs", "benchmarks/multi_input_cost.py --device cuda --kernels {40}", ("multi-input-cost-cuda",), 4),
    Piece("funnel", "benchmarks/funnel_gain.py --device cuda --mix nano --copies {4} --rounds 2",
          ("funnel-gain-cuda-nano", "funnel-gain-cuda-nano-kinds"), 4),
    Piece("step split", "benchmarks/step_split.py --steps 2", (), 6, "step-split"),
    *(Piece(f"ablations, {what}", f"{ABLATIONS} run --arms {arms} --limit-s 540", (), 9.5)
      for what, arms in (("credit", "split_0.1,uniform_0.1,split_1.0,uniform_1.0"),
                         ("extensions", "no_fusion,no_multi_input,no_curriculum,no_sandbox,no_timing,no_funnel"))),
    Piece("ablations, table", f"{ABLATIONS} table", ("ablation-arms", "ablation-pairs"), 1),
    Piece("front door", f"benchmarks/front_door.py --out {KEPT}/front-door --steps {{30}} --minutes 8",
          ("front-door", "nano-cuda"), 9.5),
    Piece("full size", f"benchmarks/full_size.py --size full --seconds {{480}} --rows {KEPT}/full-size-full.jsonl",
          ("full-size-full",), 9.5),
    Piece("large size", f"benchmarks/full_size.py --size large --seconds {{480}} --rows {KEPT}/full-size-large.jsonl",
          ("full-size-large",), 9.5),
    *(Piece(f"faults, stretch {number + 1} of 3",
            f"benchmarks/fault_training.py --out {KEPT}/faults --minutes {{8.0}} --only {number}", (), 9.5)
      for number in range(3)),
    Piece("fleet", "benchmarks/fleet.py --seconds {25}", ("fleet",), 6, gpus=4),
    Piece("training on several GPUs", "benchmarks/scaling_train.py --ranks 1,2,4", (), 9, "scaling-train", gpus=4),
    Piece("faults, table", f"benchmarks/fault_training.py --out {KEPT}/faults --stretches 0", ("fault-training",), 1),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="pieces whose names begin so, by commas")
    parser.add_argument("--again", action="store_true", help="also those that are done")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--share", type=float, default=1.0, help="how much of each piece is done")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--tests", action="store_true", help="run the GPU tests and keep their count")
    chosen = parser.parse_args()
    ends, failed = time.monotonic() + 60 * chosen.minutes, []
    if chosen.tests:
        sys.exit(run_tests(ends, again=chosen.again))
    starts = tuple(part.strip() for part in chosen.only.split(","))
    for piece in (one for one in PIECES if one.name.startswith(starts)):
        if chosen.list:
            print(f"{piece.name:28}{piece.minutes:5g} min{'   done' if is_done(piece) else ''}")
        elif chosen.again or not is_done(piece):
            if time.monotonic() + 60 * piece.minutes > ends:
                print(f"{piece.name}: left for the next call", flush=True)
                continue
            if piece.gpus > len(visible_gpus()):
                print(f"{piece.name}: needs {piece.gpus} GPUs", flush=True)
                continue
            print(f"{piece.name} …", flush=True)
            if not run(piece, chosen.share):
                failed.append(piece.name)
    if chosen.list:
        return
    homeless = write_all()
    if homeless:
        print(f"docs/benchmarks.md has no place for {', '.join(homeless)}", file=sys.stderr)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def marker(piece: Piece) -> Path:
    """What a piece leaves behind when it ended well."""
    return RESULTS / "done" / re.sub(r"\W+", "-", piece.name)


def is_done(piece: Piece) -> bool:
    """Whether a piece ended well and its tables are there."""
    return marker(piece).exists() and all((RESULTS / f"{name}.json").exists() for name in piece.tables)


def shared(command: str, share: float) -> str:
    """A piece's command with this share of what it does; counts stay whole."""

    def part(found: re.Match[str]) -> str:
        amount = float(found[1]) * share
        return f"{amount:g}" if "." in found[1] else f"{max(1, round(amount))}"

    return re.sub(r"\{([\d.]+)\}", part, command)


def run(piece: Piece, share: float = 1.0) -> bool:
    """Run a piece; whether it ended well."""
    what = shared(piece.command, share)
    command = [sys.executable, *what.split()]
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command, cwd=ROOT, timeout=60 * piece.minutes, check=False, text=True,
            stdout=subprocess.PIPE if piece.text else None,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"{piece.name}: more than {piece.minutes:g} minutes", file=sys.stderr)
        return False
    if piece.text and done.returncode == 0:
        save(printed(piece.text, done.stdout, f"python {what}"))
    if done.returncode == 0:
        marker(piece).parent.mkdir(exist_ok=True)
        marker(piece).touch()
    return done.returncode == 0


def printed(name: str, text: str, command: str) -> Table:
    """A table of what a piece printed: its Markdown as it is, or the figures of its last line of JSON."""
    last = text.strip().splitlines()[-1] if text.strip() else ""
    try:
        figures = json.loads(last)
    except ValueError:
        return Table(name, [], [], command, text=text)
    rows = [[key.replace("_", " "), value if isinstance(value, int | float | str) else json.dumps(value)]
            for key, value in figures.items()]  # fmt: skip
    return Table(name, ["what", "figure"], rows, command)


# -- the tests that need a GPU -----------------------------------------------------------------------------------------


def run_tests(ends: float, *, again: bool) -> int:
    """One file after the other, each in a process of its own; those that are done are not run again unless asked.

    1 where a test failed, or some are left for the next call.
    """
    folder = RESULTS / "gpu-tests"
    if again:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    left = []
    for path in gpu_test_files():
        report = folder / (str(path).replace("/", "-") + ".xml")
        if report.exists() and passed(report):
            continue
        seconds = min(60 * MOST_MINUTES - 15, ends - time.monotonic())
        if seconds < 20:
            left.append(str(path))
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(path), f"--junitxml={report}"]
        try:
            subprocess.run(command, cwd=ROOT, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            left.append(str(path))
    reports = sorted(folder.glob("*.xml"))
    save(test_table(reports))
    if left:
        print(f"left for the next call, or longer than there was time for: {', '.join(left)}", file=sys.stderr)
    return int(bool(left) or not all(map(passed, reports)))


def gpu_test_files() -> list[Path]:
    """Files of tests in which some are marked `gpu`, as paths from the repository's root."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "plugins").glob("*/tests/**/test_*.py")]
    return sorted(path.relative_to(ROOT) for path in files if "mark.gpu" in path.read_text(encoding="utf-8"))


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
            name = str(case.get("classname")).replace(".", "/") + ".py"
            counts.setdefault(name, Counter())[kind] += 1
    return counts


def test_table(reports: Sequence[Path]) -> Table:
    """Counts by file."""
    kinds = ("passed", "failed", "skipped")
    rows = [[name, *(count[kind] for kind in kinds)] for name, count in sorted(counted(reports).items())]
    return Table("gpu-tests", ["tests", *kinds], rows, "make test-gpu")


if __name__ == "__main__":
    main()
