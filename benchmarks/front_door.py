"""The commands as a user gives them, one after the other on this machine: do they work, and how long do they take?

    python benchmarks/front_door.py --out DIR [--steps 30] [--device cuda] [--minutes 8]
    python benchmarks/front_door.py --out DIR --steps 3 --only train,report,reverify,export

Verifies a good, a wrong, a hanging and a cheating file, trains nano under `all_extensions`, evaluates it beside the
bundled one and compares the two, writes the report, judges some of the run's kernels again, exports the best and runs
its test. What a step leaves in DIR is not made again. With `--only`, for some of the commands, the model is not judged
before and after training, and no table is kept; nor with `--device cpu`, which rehearses it. `tritonrl` is the one on
PATH, or this Python's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tables import Table, save

from tritonrl_core.runs import PRESET_FILE, Journal, read_journal, read_scores
from tritonrl_core.types import Status

REFERENCE = '''"""Softplus of each element, then the row's largest."""
import torch
import torch.nn as nn

ROWS = 2048
COLS = 3000


class Model(nn.Module):
    def forward(self, x):
        return torch.nn.functional.softplus(x).amax(dim=-1)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
'''
GOOD = """import torch
import triton
import triton.language as tl


@triton.jit
def softplus_max_kernel(x_ptr, out_ptr, cols, stride, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(0, cols, BLOCK):
        i = start + tl.arange(0, BLOCK)
        best = tl.maximum(best, tl.load(x_ptr + row * stride + i, mask=i < cols, other=float("-inf")))
    most = tl.max(best, axis=0)
    tl.store(out_ptr + row, tl.where(most > 20.0, most, tl.log(1.0 + tl.exp(most))))


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        softplus_max_kernel[(x.shape[0],)](x, out, x.shape[1], x.stride(0), BLOCK=1024)
        return out
"""
FILES = {
    "good.py": GOOD,
    "wrong.py": GOOD.replace("1.0 + tl.exp", "2.0 + tl.exp"),
    "hanging.py": GOOD.replace(
        "    tl.store(", "    while tl.load(out_ptr + row) != 12345.0:\n        tl.debug_barrier()\n    tl.store("
    ),
    "cheating.py": GOOD.replace(
        "        return out", "        return torch.nn.functional.softplus(x).amax(dim=-1) + 0 * out"
    ),
}
VERDICTS = {"good.py": ("PASSED",), "wrong.py": ("WRONG",), "hanging.py": ("TIMEOUT",),
            "cheating.py": ("REJECTED", "CHEATED")}  # fmt: skip
MOST_REPORT = 15e6


@dataclass(frozen=True)
class Step:
    """One command: what it is for, its arguments, the exit status it must have (or one of some), and what it must leave
    (a sentence of what came; raises `AssertionError` naming what is wrong)."""

    name: str
    arguments: Sequence[str]
    status: int | tuple[int, ...]
    found: Callable[[str], str]


def steps(out: Path, count: int, device: str, whole: bool = True) -> Iterator[Step]:
    """All commands in order; later ones use what earlier ones left. `whole`: with evaluations around training."""
    run, setting = out / "run", ("--set", f"verifier.device={device}")
    yield Step("doctor", ["doctor"], 0, this_device)
    files = [str(out / name) for name in FILES]
    how = ["--preset", "all_extensions", "--device", device, "--set", "verifier.timeout_s=8", "--json"]
    yield Step("verify", ["verify", str(out / "reference.py"), *files, *how], 1, judged)
    yield Step("verify, the good one", ["verify", str(out / "reference.py"), files[0], *how], 0, speed_of)
    held_out = "--eval" if whole else "--no-eval"
    train = ["--preset", "all_extensions", *setting, "--set", f"train.grpo.max_steps={count}", held_out]
    yield Step("train", begun_or_new("train", run, train), 0, lambda text: trained(run, count))
    model = run / "checkpoints/rl/final"
    for name, source in (("eval-trained", str(model)), ("eval-bundled", "nano")):
        asked = ["--preset", "all_extensions", *setting, "--model", source, "--samples", "2"]
        yield Step(name, begun_or_new("eval", out / name, asked), 0, lambda text, folder=out / name: evaluated(folder))
    yield Step("compare", ["eval", "compare", str(out / "eval-bundled"), str(out / "eval-trained")], 0, compared)
    yield from afterwards(run, out, device)


def begun_or_new(command: str, folder: Path, arguments: Sequence[str]) -> list[str]:
    """The command that goes on with what was interrupted in this folder, or begins it."""
    if (folder / PRESET_FILE).exists():
        return [command, "--resume", str(folder)]
    return [command, *arguments, "--out", str(folder)]


def afterwards(run: Path, out: Path, device: str) -> Iterator[Step]:
    """What is done with a run that has ended."""
    yield Step("report", ["report", str(run)], 0, lambda text: page(run / "report.html"))
    yield Step("reverify", ["reverify", str(run), "--status", "PASSED", "--limit", "100", "--json"], (0, 1), again)
    task = best_task(run) if (run / "scores.jsonl").exists() else ""
    yield Step("export", ["export", str(run), "--task", task, "--out", str(out / "exported")], 0,
               lambda text: f"{task}: {tested(out / 'exported', device)}")  # fmt: skip


def this_device(text: str) -> str:
    rows = [line for line in text.splitlines() if line.startswith(("device", "sandbox tier"))]
    assert len(rows) == 2, "no device or no sandbox tier"
    return ", ".join(" ".join(row.split()[:8]) for row in rows)


def trained(run: Path, count: int) -> str:
    scores = list(read_scores(run))
    assert (run / "checkpoints/rl/final/model.safetensors").exists(), "no trained model"
    assert list((run / "tensorboard").rglob("events.*")), "no TensorBoard events"
    infra = sum(score.verdict.status is Status.INFRA for score in scores)
    measured = sum(score.timing is not None and not score.timing.estimated for score in scores)
    evals = [row for row in read_journal(run / "metrics.jsonl") if row["stage"] == "eval"]
    rates = ", ".join(f"{row['when']} {100 * row['sampled/correct']:.1f} %" for row in evals)
    told = f"{count} steps, {len(scores):,} completions, {infra} INFRA, {measured:,} measured speeds"
    return f"{told}; held out: {rates}" if rates else told


def evaluated(folder: Path) -> str:
    assert (folder / "report.html").exists(), "no report"
    return f"{len(list(read_scores(folder)))} completions; {cell('correct', figures(folder)['correct'])} right"


def figures(folder: Path) -> dict[str, Any]:
    """All figures of an evaluation, each with its interval."""
    return dict(json.loads((folder / "result.json").read_text())["overall"]["figures"])


def cell(name: str, figure: Mapping[str, float | None]) -> str:
    """A figure as it stands in a table: shares in percent, speedups as factors."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "–"
    factor, unit, digits = (1, "×", 2) if name == "speedup" else (100, " %", 1)
    interval = "" if low is None or high is None else f" ({factor * low:.{digits}f} to {factor * high:.{digits}f})"
    return f"{factor * value:.{digits}f}{unit}{interval}"


def learned(out: Path, command: str) -> Table:
    """The bundled model and what training made of it on the held-out tasks, with measured speed."""
    rows: list[list[str | int | float | None]] = []
    sides = {name: figures(out / f"eval-{name}") for name in ("bundled", "trained")}
    for name in (name for name in sides["bundled"] if name != "fast_0"):  # which is `correct` again
        rows.append([name, *(cell(name, side[name]) if name in side else None for side in sides.values())])
    notes = told(len(list(read_scores(out / "eval-trained"))))
    return Table("nano-cuda", ["held-out tasks", "bundled nano", "after training"], rows, command, notes)


def told(count: int) -> list[str]:
    """What is said below the table of both models, of so many samples each."""
    return [
        f"{count} samples each at temperature 1, 95 % intervals over tasks; speedups over eager PyTorch, of right ones",
        "One training run, seed 0",
    ]


def compared(text: str) -> str:
    assert "pass@1" in text, "no pass@1 in the comparison"
    line = next(line for line in text.splitlines() if "pass@1" in line)
    return re.sub(r"\s{2,}", ", ", line.strip(" │|"))[:100]


def judged(text: str) -> str:
    found = {Path(row["candidate"]).name: row["status"] for row in json.loads(text)}
    wrong = {name: status for name, status in found.items() if status not in VERDICTS[name]}
    assert not wrong, f"judged wrongly: {wrong}"
    return ", ".join(f"{name.removesuffix('.py')} {status}" for name, status in found.items())


def speed_of(text: str) -> str:
    row = json.loads(text)[0]
    return f"{row['speedup']:.2f}× ({'estimated' if row['estimated'] else 'measured'})"


def again(text: str) -> str:
    """No status may differ; of measured speeds a few may leave their 95 % intervals (exit status 1)."""
    rows = json.loads(text)
    changed = [row["what"] for row in rows if row["then"]["status"] != row["now"]["status"]]
    assert not changed, f"judged differently: {changed[:3]}"
    return f"no verdict differs, {len(rows)} speeds do"


def page(path: Path) -> str:
    size = path.stat().st_size
    assert size < MOST_REPORT, f"the report has {size / 1e6:.1f} MB"
    return f"one page of {size / 1e6:.2f} MB"


def best_task(run: Path) -> str:
    """A task that the run solved: the one with the largest speedup."""
    solved = [score for score in read_scores(run) if score.verdict.status is Status.PASSED]
    return max(solved, key=lambda score: score.timing.speedup or 0.0 if score.timing else 0.0).task_id if solved else ""


def tested(folder: Path, device: str) -> str:
    """The exported kernel's own test, in a fresh Python with torch and triton alone."""
    tests = sorted(folder.glob("test_*.py"))
    assert tests, "no test was exported"
    how = {**os.environ, "TRITON_INTERPRET": "0" if device == "cuda" else "1"}
    command = [sys.executable, str(tests[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=how)
    assert done.returncode == 0, f"its test failed: {done.stderr[-200:]}"
    return "its own test passes"


def take(step: Step, out: Path, seconds: float) -> dict[str, Any]:
    """Run a command; what came of it."""
    tool = shutil.which("tritonrl")
    start = [tool] if tool else [sys.executable, "-c", "from tritonrl_core.cli import main; main()"]
    began = time.monotonic()
    row: dict[str, Any] = {"name": step.name, "ok": False, "wanted": step.status, "status": None, "found": ""}
    try:
        done = subprocess.run([*start, *step.arguments], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {**row, "seconds": time.monotonic() - began, "found": f"not done in {seconds:.0f} s"}
    row |= {"status": done.returncode, "seconds": time.monotonic() - began}
    stem = step.name.replace(",", "").replace(" ", "-")
    (out / f"{stem}.out").write_text(done.stdout)
    (out / f"{stem}.err").write_text(done.stderr)
    try:
        wanted = step.status if isinstance(step.status, tuple) else (step.status,)
        assert done.returncode in wanted, f"exit status {done.returncode}: {done.stderr.strip()[-200:]}"
        row |= {"found": step.found(done.stdout), "ok": True}
    except (AssertionError, OSError, ValueError, KeyError, StopIteration, subprocess.TimeoutExpired) as error:
        row["found"] = f"WRONG: {error}"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30, help="of training")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin no command after so long")
    parser.add_argument("--only", default="", help="commands whose names begin so, by commas")
    chosen = parser.parse_args()
    wanted = tuple(chosen.only.split(","))
    out, ends = chosen.out.resolve(), time.monotonic() + 60 * chosen.minutes
    out.mkdir(parents=True, exist_ok=True)
    for name, text in {**FILES, "reference.py": REFERENCE}.items():
        (out / name).write_text(text)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    journal = Journal(out / "front-door.jsonl")
    known = {row["name"]: row for row in read_journal(journal.path) if row["ok"]}
    rows = []
    for step in steps(out, chosen.steps, chosen.device, whole=not chosen.only):
        left = ends - time.monotonic()
        if step.name.startswith(wanted) and step.name not in known and left > 0:
            row = take(step, out, max(left, 30.0))
            journal.append(row)
            print(f"{step.name}: {row['seconds']:.1f} s, {row['found']}", flush=True)
            known[step.name] = row
        if step.name in known:
            rows.append(known[step.name])
    body = [[row["name"], row["status"], row["seconds"], row["found"]] for row in rows]
    command = f"python benchmarks/front_door.py --out DIR --steps {chosen.steps}"
    if not chosen.only and chosen.device == "cuda":  # elsewhere it is a rehearsal
        save(Table("front-door", ["command", "exit status", "seconds with start", "what came"], body, command))
        if {"eval-trained", "eval-bundled"} <= {row["name"] for row in rows if row["ok"]}:
            save(learned(out, command))
    sys.exit(not all(row["ok"] for row in rows))


if __name__ == "__main__":
    main()
