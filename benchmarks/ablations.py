"""What each part of the method is worth on nano: one cell is one arm with one seed, at most three minutes.

    python benchmarks/ablations.py run --out DIR [--arms split_0.1,uniform_0.1,…] [--seeds 0,1,2] [--at-once 8]
    python benchmarks/ablations.py run --device cpu --cores 2 --out benchmarks/ablations/estimated
    python benchmarks/ablations.py table [--out DIR]            # from the cells to the tables of docs/benchmarks.md

A cell trains nano for a few steps under the arm's preset, then judges the trained model under the whole of
`all_extensions`, on tasks that no arm trained on. Training computes on a few CPU cores; the verifier measures on a GPU.
With `--device cpu` estimated speeds take the clock's place, in families where they are known to rank kernels as it does
(three of four of nano's tasks); such cells have tables of their own. A cell that is there is not run again:
`--out benchmarks/ablations` goes on where the repo stands.

`split` is TritonRL's credit (code by correctness, plan by alpha × speed), `uniform` one reward for all tokens with the
same alpha; `no_X` is `split_0.1` without the extension X, which is otherwise on, as all six are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from statistics import median
from typing import Any

import numpy as np
from nano_gain import some_cores
from numpy.typing import NDArray
from tables import Machine, Table, save, this_machine

from tritonrl_core.bench.replay import traffic

FOLDER = Path(__file__).parent / "ablations"
STEPS = 10
TASKS, SAMPLES, DRAW = 80, 4, 3
"""Of the evaluation. No other draw: not the shipped held-out tasks, nor those that the recipe was chosen on."""

EXTENSIONS = ("fusion", "multi_input", "curriculum", "sandbox", "timing", "funnel")
ARMS: Mapping[str, Sequence[str]] = {
    "split_0.1": (),
    "uniform_0.1": ("reward.uniform=true",),
    "split_1.0": ("reward.alpha=1.0",),
    "uniform_1.0": ("reward.alpha=1.0", "reward.uniform=true"),
    **{f"no_{name}": (f"without=[{name}]",) for name in EXTENSIONS},
}
PAIRS = (("split_0.1", "uniform_0.1"), ("split_1.0", "uniform_1.0"), *((f"no_{n}", "split_0.1") for n in EXTENSIONS))
"""Arms to compare, the second being the standard."""

MEASURES = {
    "right": "right",
    "greedy": "right, greedy",
    "fast": "right and faster than 1.5× eager",
    "speed": "speedup of right ones",
}
DEVICES: Mapping[str, Sequence[str]] = {
    "cuda": ("verifier.device=cuda", "verifier.gpu_memory=8GiB"),
    "cpu": (
        "verifier.device=cpu", "reward.speed.estimated=true", "reward.speed.bound=point", "reward.merge_noise=false",
    ),
}  # fmt: skip
"""What the verifier's device decides. An estimate has no noise from run to run, and by its error against a clock no two
kernels of a group would differ: the plan would get no credit at all."""

ESTIMATED = "No GPU: speeds are estimates, in families where those are known to rank kernels as a clock does"
BOOTSTRAPS = 4000
FEWEST_SEEDS = 3
INTERVALS = f"Intervals of 95 %: bootstrap over tasks, and over seeds where there are {FEWEST_SEEDS} or more"
Matrix = NDArray[np.float64]
Difference = tuple[float, float, float]
"""How far one arm is above another, and the interval's two ends."""


def cell(arm: str, seed: int, device: str, steps: int, count: int) -> dict[str, Any]:
    """Train and judge; what came of it as plain data, one entry a task."""
    from tritonrl_nano.recipe.tasks import nano_tasks

    from tritonrl_core.evaluate import evaluate_policy
    from tritonrl_core.preset import load_preset
    from tritonrl_core.runs import read_metrics
    from tritonrl_core.train.model import load_policy
    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    shared = [*DEVICES[device], "reward.speed.cap=10"]
    here = [f"seed={seed}", f"train.grpo.max_steps={steps}", "train.grpo.use_cpu=true"]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        summary = train(load_preset("all_extensions", [*ARMS[arm], *shared, *here]), out=Path(scratch) / "run")
        trained = time.monotonic()
        rows = [row for row in read_metrics(summary.folder) if row["stage"] == "rl"]
        policy = load_policy(summary.model)
        tasks = nano_tasks("held_out", count, DRAW)
        with Verifier(load_preset("all_extensions", shared)) as judge:
            common: dict[str, Any] = {"max_new_tokens": 224, "seed": 1_000 * (seed + 1)}
            sampled = evaluate_policy(policy, tasks, judge, samples=SAMPLES, temperature=1.0, **common)
            greedy = evaluate_policy(policy, tasks, judge, samples=1, temperature=0.0, **common)
    return {
        "arm": arm, "seed": seed, "changes": [*ARMS[arm], *shared], "steps": len(rows), "device": device,
        "train_s": round(trained - began, 1), "eval_s": round(time.monotonic() - trained, 1),
        "correct": [round(row["correct_rate"], 4) for row in rows],
        "verification_s": [round(row["time/verification_s"], 2) for row in rows],
        "infra": sampled.infra + greedy.infra, "by_level": {str(k): round(v, 4) for k, v in sampled.by_level.items()},
        "tasks": tasks_of(sampled.scores, greedy.scores, estimated=device == "cpu"), "machine": asdict(this_machine()),
    }  # fmt: skip


def tasks_of(sampled: Sequence[Any], greedy: Sequence[Any], *, estimated: bool) -> list[dict[str, Any]]:
    """By task: samples that were judged, how many were right, their speedups (measured, or those estimates that may
    enter a reward), and whether the greedy one was right."""
    found: dict[str, dict[str, Any]] = {}
    for score in sampled:
        row = found.setdefault(
            score.task_id, {"task": score.task_id, "of": 0, "right": 0, "speedups": [], "greedy": None}
        )
        if score.reward.correctness is None:
            continue
        row["of"] += 1
        if score.reward.correctness:
            row["right"] += 1
            if score.timing is not None and score.timing.estimated == estimated and score.timing.reward_allowed:
                row["speedups"].append(round(score.timing.speedup, 3))
    for score in greedy:
        if score.reward.correctness is not None and score.task_id in found:
            found[score.task_id]["greedy"] = int(score.reward.correctness)
    return list(found.values())


def missing(out: Path, arms: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Cells that are not there yet, seed by seed, so that what a shorter time gave can be compared."""
    return [(arm, seed) for seed in seeds for arm in arms if not place_of(out, arm, seed).is_file()]


def place_of(out: Path, arm: str, seed: int) -> Path:
    return out / f"{arm}-{seed}.jsonl"


def run(out: Path, wanted: Sequence[tuple[str, int]], given: argparse.Namespace) -> None:
    """The cells, each in a process of its own on cores of its own; one that fails or is too slow is left out.

    On one GPU they take turns: none has its kernels run while another times.
    """
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(traffic.SHARED, traffic.names(traffic.locks()))
    places = some_cores(sorted(os.sched_getaffinity(0)), given.cores)
    free: Queue[list[int]] = Queue()
    for place in places[: given.at_once or len(places)]:
        free.put(place)
    ends = time.monotonic() + given.limit_s

    def one(arm: str, seed: int) -> None:
        place = free.get()
        try:
            in_time = time.monotonic() + given.cell_s <= ends
            told = process(out, arm, seed, place, given) if in_time else "no time left"
            sys.stderr.write(f"{arm} {seed}: {told}\n")
        finally:
            free.put(place)

    with ThreadPoolExecutor(free.qsize()) as pool:
        for done in [pool.submit(one, arm, seed) for arm, seed in wanted]:
            done.result()


def process(out: Path, arm: str, seed: int, place: Sequence[int], given: argparse.Namespace) -> str:
    """Run one cell; how it ended, in words."""
    command = ["taskset", "-c", ",".join(map(str, place)), sys.executable, str(Path(__file__).resolve()), "cell"]
    command += ["--arms", arm, "--seeds", str(seed), "--device", given.device]
    command += ["--steps", str(given.steps), "--tasks", str(given.tasks)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(len(place))}
    log, began = out / f"{arm}-{seed}.log", time.monotonic()
    with log.open("w") as errors:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        limit = threading.Timer(given.cell_s, child.kill)
        limit.start()
        said, _ = child.communicate()
        limit.cancel()
    if child.returncode:
        return f"ended with {child.returncode} after {time.monotonic() - began:.0f} s; see {log}"
    half = out / f"{arm}-{seed}.part"
    half.write_text(said.splitlines()[-1] + "\n", encoding="utf-8")
    half.replace(place_of(out, arm, seed))
    log.unlink()
    return f"{time.monotonic() - began:.0f} s"


def read_cells(folder: Path = FOLDER) -> dict[str, dict[int, dict[str, Any]]]:
    """Every cell that is there, by arm and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        one = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(one["arm"], {})[one["seed"]] = one
    return found


def sums(cells: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Matrix]:
    """By measure, numerators and denominators (seeds, tasks, 2). Speedups are in logarithms."""
    tables = {measure: np.zeros((len(cells), len(names), 2)) for measure in MEASURES}
    for place, one in enumerate(cells):
        rows = {row["task"]: row for row in one["tasks"]}
        for column, name in enumerate(names):
            row = rows.get(name)
            if row is None:
                continue
            speedups = row["speedups"]
            tables["right"][place, column] = row["right"], row["of"]
            tables["greedy"][place, column] = (0, 0) if row["greedy"] is None else (row["greedy"], 1)
            tables["fast"][place, column] = sum(value > 1.5 for value in speedups), row["of"]
            tables["speed"][place, column] = float(np.log(speedups).sum()) if speedups else 0.0, len(speedups)
    return tables


def differences(
    mine: Mapping[str, Matrix], other: Mapping[str, Matrix], seed: int = 0
) -> dict[str, Difference]:
    """How far the first arm is above the second, with 95 % intervals: seeds drawn anew in each arm, tasks in both.

    Shares as differences, the speedup as a ratio of geometric means. With fewer than `FEWEST_SEEDS` in an arm only
    tasks are drawn: the spread between so few is not known, and such an interval is of these runs alone.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for measure in MEASURES:
        a, b = mine[measure], other[measure]
        value = _above(measure, a.sum((0, 1)), b.sum((0, 1)))
        draws = []
        for _ in range(BOOTSTRAPS):
            tasks = rng.integers(a.shape[1], size=a.shape[1])
            draws.append(_above(measure, *(_seeds(part, rng)[:, tasks].sum((0, 1)) for part in (a, b))))
        low, high = (float(bound) for bound in np.nanpercentile(draws, [2.5, 97.5]))
        found[measure] = (value, low, high)
    return found


def _seeds(part: Matrix, rng: np.random.Generator) -> Matrix:
    """An arm's seeds drawn anew; as they are where they are few."""
    return part[rng.integers(len(part), size=len(part))] if len(part) >= FEWEST_SEEDS else part


def _above(measure: str, mine: Matrix, other: Matrix) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = mine[0] / mine[1], other[0] / other[1]
    return float(np.exp(a - b) if measure == "speed" else a - b)


def tables(cells: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> list[Table]:
    """The arms by themselves, and in pairs."""
    names = sorted({row["task"] for seeds in cells.values() for one in seeds.values() for row in one["tasks"]})
    stored = {arm: sums(list(seeds.values()), names) for arm, seeds in cells.items()}
    first = next(iter(next(iter(cells.values())).values()))
    estimated = first["device"] == "cpu"
    machine = Machine(**first["machine"])
    where = "--device cpu --cores 2 --out benchmarks/ablations/estimated" if estimated else "--out benchmarks/ablations"
    command = f"python benchmarks/ablations.py run {where}"
    there = [pair for pair in PAIRS if set(pair) <= cells.keys()]
    found = {(arm, other): differences(stored[arm], stored[other]) for arm, other in there}
    pairs = [
        [arm, other, f"{len(cells[arm])} / {len(cells[other])}", *(_shown(name, one[name]) for name in MEASURES)]
        for (arm, other), one in found.items()
    ]
    few = [pair for pair in there if min(len(cells[arm]) for arm in pair) < FEWEST_SEEDS]
    notes = [about(cells), *([ESTIMATED] if estimated else [])]
    arms = [[arm, len(cells[arm]), *_own(cells[arm], stored[arm])] for arm in ARMS if arm in cells]
    suffix = "-estimated" if estimated else ""
    own = ["arm", "seeds", *MEASURES.values(), "right in training", "seconds a step verifying"]
    two = ["arm", "against", "seeds", *MEASURES.values()]
    return [
        Table(f"ablation-arms{suffix}", own, arms, command, notes, machine),
        Table(f"ablation-pairs{suffix}", two, pairs, command, [*notes, INTERVALS, *resolved(found, few)], machine),
    ]


def about(cells: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> str:
    """What a cell is, by the cells themselves. Raises `SystemExit` where they are not alike."""
    every = [one for seeds in cells.values() for one in seeds.values()]
    sizes = {(one["steps"], len(one["tasks"]), max(row["of"] for row in one["tasks"])) for one in every}
    if len(sizes) > 1:
        sys.exit(f"cells of different sizes do not make one table (steps, tasks, samples): {sorted(sizes)}")
    ((steps, tasks, samples),) = sizes
    return (
        f"{steps} steps of 64 completions, then {tasks} held-out tasks × {samples} at temperature 1 and one greedy, "
        "judged under all_extensions"
    )


def resolved(
    pairs: Mapping[tuple[str, str], Mapping[str, Difference]], few: Collection[tuple[str, str]] = ()
) -> list[str]:
    """Which differences the intervals show, and how large one must be for so many seeds to show it. `few` are pairs
    with too few seeds for that."""
    known = {pair: found for pair, found in pairs.items() if pair not in few}
    alone = "; ".join(" against ".join(pair) for pair in pairs if pair in few)
    notes = [f"Too few seeds, so that nothing is resolved: {alone}"]
    notes = notes if alone else []
    if not known:
        return notes
    halves = {name: median((found[name][2] - found[name][1]) / 2 for found in known.values()) for name in MEASURES}
    least = ", ".join(f"{100 * half:.0f} points ({MEASURES[name]})" for name, half in halves.items() if name != "speed")
    clear = [
        f"{arm} against {other} ({MEASURES[name]})"
        for (arm, other), found in known.items() for name, (_, low, high) in found.items()
        if not low <= (name == "speed") <= high
    ]  # fmt: skip
    return [
        *notes,
        f"Differences below about {least} are too small for so few seeds (half an interval)",
        f"Resolved: {'; '.join(clear) or 'nothing'}",
    ]


def _own(seeds: Mapping[int, Mapping[str, Any]], table: Mapping[str, Matrix]) -> list[str]:
    shown = []
    for measure in MEASURES:
        top, bottom = table[measure].sum((0, 1))
        value = top / bottom if bottom else float("nan")
        shown.append(f"{np.exp(value):.2f}×" if measure == "speed" else f"{100 * value:.1f} %")
    training = np.mean([np.mean(one["correct"]) for one in seeds.values()])
    seconds = np.mean([np.mean(one["verification_s"][1:]) for one in seeds.values()])
    return [*shown, f"{100 * training:.1f} %", f"{seconds:.1f}"]


def _shown(measure: str, found: Difference) -> str:
    value, low, high = found
    if measure == "speed":
        return f"{value:.2f}×" + ("" if np.isnan(low) else f" ({low:.2f} to {high:.2f})")
    return f"{100 * value:+.1f}" + ("" if np.isnan(low) else f" ({100 * low:+.1f} to {100 * high:+.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "cell", "table"))
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--device", default="cuda", choices=tuple(DEVICES), help="of the verifier; cpu: estimates")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--tasks", type=int, default=TASKS, help="held out, of the evaluation")
    parser.add_argument("--cores", type=int, default=4, help="of a cell")
    parser.add_argument("--at-once", type=int, help="cells side by side [default: what there is room for]")
    parser.add_argument("--cell-s", type=float, default=180.0, help="seconds after which a cell is ended")
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="no cell is begun that may end after this")
    given = parser.parse_args()
    arms, seeds = given.arms.split(","), [int(seed) for seed in given.seeds.split(",")]
    if unknown := set(arms) - set(ARMS):
        parser.error(f"no such arm: {', '.join(unknown)}; there are {', '.join(ARMS)}")
    if given.command == "cell":
        sys.stdout.write(json.dumps(cell(arms[0], seeds[0], given.device, given.steps, given.tasks)) + "\n")
    elif given.command == "run":
        run(given.out, missing(given.out, arms, seeds), given)
        if left := missing(given.out, arms, seeds):
            sys.exit(f"{len(left)} cells are left for the next call")
    else:
        for table in tables(read_cells(given.out)):
            save(table)


if __name__ == "__main__":
    main()
