"""What nano learns in one run, over seeds and curricula: held-out rates before and after, and the time it took.

    python benchmarks/nano_gain.py --runs published:0,published:1,fixed:0,even_odds:0 --out DIR [--pairs 4]

Each run is `tritonrl train` in a process of its own, without a GPU, on two cores of its own (as many at a time as there
are pairs). An arm is the curriculum: `published` (as shipped), `fixed` (the plugin left out: the preset's mix) or
`even_odds`. One JSON line a run goes to stdout as it ends, and to DIR/results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import Queue
from typing import Any

from tritonrl_core.runs import read_metrics

ARMS = {
    "published": [],
    "fixed": ["without=[curriculum]"],
    "even_odds": ["plugins.curriculum.mode=even_odds"],
}
CORES = 2


def run(arm: str, seed: int, free: Queue[int], out: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One training run on two cores of its own, and what came of it; `ended` is false where it ran out of time."""
    place = free.get()
    try:
        return {"preset": given.preset, "arm": arm, "seed": seed, **trained(arm, seed, place, out, given)}
    finally:
        free.put(place)


def trained(arm: str, seed: int, place: int, out: Path, given: argparse.Namespace) -> dict[str, Any]:
    folder = out / f"{arm}-{seed}"
    changes = [*ARMS[arm], f"seed={seed}", *given.set]
    program = "from tritonrl_core.cli import main; main()"
    command = ["taskset", "-c", f"{place}-{place + CORES - 1}", sys.executable, "-c", program, "train"]
    command += ["--preset", given.preset, "--out", str(folder)]
    command += [part for change in changes for part in ("--set", change)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(CORES)}
    began = time.monotonic()
    with (out / f"{arm}-{seed}.log").open("w") as log:
        try:
            done = subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=given.limit_s)
            ended = done.returncode == 0
        except subprocess.TimeoutExpired:
            ended = False
    return {"ended": ended, "wall_s": round(time.monotonic() - began, 1), **summary(folder)}


def summary(folder: Path) -> dict[str, Any]:
    """Figures of a run's metrics: evaluations, the curve of training, mean seconds of a step's parts."""
    rows = list(read_metrics(folder))
    steps = [row for row in rows if row["stage"] == "rl" and "correct_rate" in row]
    held_out = {row["when"]: row for row in rows if row["stage"] == "eval"}
    figures = ("correct", "correct_low", "correct_high", "samples", "infra", "seconds")
    shown = [f"{kind}/{figure}" for kind in ("sampled", "greedy") for figure in figures]
    parts = ("step_time", "time/generation_s", "time/verification_s")
    return {
        "held_out": {when: {name: round(row[name], 4) for name in shown} for when, row in held_out.items()},
        "train_s": round(sum(row["step_time"] for row in steps), 1),
        "mean_s": {part: round(sum(row[part] for row in steps) / max(len(steps), 1), 2) for part in parts},
        "correct": [round(row["correct_rate"], 3) for row in steps],
        "level_2": [round(row.get("level/2", 0.0), 3) for row in steps],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", required=True, help="ARM:SEED, separated by commas")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="all_extensions", help="one with the curriculum in it")
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--pairs", type=int, help="runs at a time, each on two cores [default: all]")
    parser.add_argument("--limit-s", type=float, default=900.0, help="seconds after which a run is ended")
    parser.add_argument("--set", action="append", default=[], help="as of `tritonrl train`")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = [(arm, int(seed)) for arm, seed in (entry.split(":") for entry in options.runs.split(","))]
    free: Queue[int] = Queue()
    for pair in range(options.pairs or len(wanted)):
        free.put(options.first_core + CORES * pair)
    with ThreadPoolExecutor(free.qsize()) as pool, (options.out / "results.jsonl").open("a") as results:
        running = [pool.submit(run, arm, seed, free, options.out, options) for arm, seed in wanted]
        for future in as_completed(running):
            line = json.dumps(future.result())
            for file in (results, sys.stdout):
                file.write(line + "\n")
                file.flush()


if __name__ == "__main__":
    main()
