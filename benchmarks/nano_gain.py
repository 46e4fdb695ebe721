"""What nano learns in one run, over seeds and curricula: held-out rates before and after, and the time it took.

    python benchmarks/nano_gain.py --runs published:0,published:1,fixed:0,even_odds:0 --out DIR [--first-core 0]

Each run is `tritonrl train --preset all_extensions` in a process of its own, without a GPU, on two cores of its own.
An arm is the curriculum: `published` (as shipped), `fixed` (the plugin left out: the preset's mix) or `even_odds`. One
JSON line a run goes to stdout as it ends, and to DIR/results.jsonl.
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
from typing import Any

from tritonrl_core.runs import read_metrics

ARMS = {
    "published": [],
    "fixed": ["without=[curriculum]"],
    "even_odds": ["plugins.curriculum.mode=even_odds"],
}
CORES = 2


def run(arm: str, seed: int, place: int, out: Path, overrides: list[str], limit_s: float) -> dict[str, Any]:
    """One training run on its two cores, and what came of it; `ended` is false where it ran out of time."""
    folder = out / f"{arm}-{seed}"
    changes = [*ARMS[arm], f"seed={seed}", *overrides]
    program = "from tritonrl_core.cli import main; main()"
    command = ["taskset", "-c", f"{place}-{place + CORES - 1}", sys.executable, "-c", program, "train"]
    command += ["--preset", "all_extensions", "--out", str(folder)]
    command += [part for change in changes for part in ("--set", change)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(CORES)}
    began = time.monotonic()
    with (out / f"{arm}-{seed}.log").open("w") as log:
        try:
            ended = subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=limit_s).returncode == 0
        except subprocess.TimeoutExpired:
            ended = False
    return {"arm": arm, "seed": seed, "ended": ended, "wall_s": round(time.monotonic() - began, 1), **summary(folder)}


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
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=900.0, help="seconds after which a run is ended")
    parser.add_argument("--set", action="append", default=[], help="as of `tritonrl train`")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = [(arm, int(seed)) for arm, seed in (entry.split(":") for entry in options.runs.split(","))]
    with ThreadPoolExecutor(len(wanted)) as pool, (options.out / "results.jsonl").open("a") as results:
        running = [
            pool.submit(run, arm, seed, options.first_core + CORES * place, options.out, options.set, options.limit_s)
            for place, (arm, seed) in enumerate(wanted)
        ]
        for future in as_completed(running):
            line = json.dumps(future.result())
            for file in (results, sys.stdout):
                file.write(line + "\n")
                file.flush()


if __name__ == "__main__":
    main()
