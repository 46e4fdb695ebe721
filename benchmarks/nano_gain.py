"""What nano learns in one run, over seeds and curricula: held-out rates before and after, and the time it took.

    python benchmarks/nano_gain.py --runs published:0,published:1,fixed:0,even_odds:0 --out DIR [--pairs 4]

Each run is `tritonrl train` in a process of its own, without a GPU, on two cores of its own, of those that this process
may use (as many runs at a time as there are pairs). An arm is the curriculum: `published` (as shipped), `fixed` (the
plugin left out: the preset's mix), `half` (the same with both levels alike) or `even_odds`. One JSON line a run goes to
stdout as it ends, and to DIR/results.jsonl. A run that ended is not run again; the table is of all that lie there, and
goes to the page by benchmarks/tables.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from statistics import fmean
from typing import Any

from tables import Machine, Table, save, this_machine

from tritonrl_core.runs import read_metrics

ARMS = {
    "published": [],
    "fixed": ["without=[curriculum]"],
    "half": ["without=[curriculum]", "levels.1=0.5", "levels.2=0.5"],
    "even_odds": ["plugins.curriculum.mode=even_odds"],
}
CORES = 2


def run(arm: str, seed: int, free: Queue[list[int]], out: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One training run on two cores of its own, and what came of it; `ended` is false where it ran out of time."""
    place = free.get()
    try:
        made = trained(arm, seed, place, out, given)
        return {"preset": given.preset, "arm": arm, "seed": seed, **made, "machine": asdict(this_machine())}
    finally:
        free.put(place)


def trained(arm: str, seed: int, place: Sequence[int], out: Path, given: argparse.Namespace) -> dict[str, Any]:
    folder = out / f"{arm}-{seed}"
    changes = [*ARMS[arm], f"seed={seed}", *given.set]
    program = "from tritonrl_core.cli import main; main()"
    command = ["taskset", "-c", ",".join(map(str, place)), sys.executable, "-c", program, "train"]
    command += ["--preset", given.preset, "--out", str(folder)]
    command += [part for change in changes for part in ("--set", change)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(CORES)}
    began = time.monotonic()
    with (out / f"{arm}-{seed}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        limit = threading.Timer(given.limit_s, process.kill)
        limit.start()
        _, status, usage = os.wait4(process.pid, 0)  # with what its own children used
        limit.cancel()
    cpu_s = round(usage.ru_utime + usage.ru_stime, 1)
    return {"ended": status == 0, "wall_s": round(time.monotonic() - began, 1), "cpu_s": cpu_s, **summary(folder)}


def summary(folder: Path) -> dict[str, Any]:
    """Figures of a run's metrics: evaluations, the curve of training, mean seconds of a step's parts."""
    rows = list(read_metrics(folder))
    steps = [row for row in rows if row["stage"] == "rl" and "correct_rate" in row]
    held_out = {row["when"]: row for row in rows if row["stage"] == "eval"}
    figures = ("correct", "correct_low", "correct_high", "samples", "infra", "seconds")
    shown = [f"{kind}/{figure}" for kind in ("sampled", "greedy") for figure in figures]
    shown += [f"sampled/correct_level_{level}" for level in (1, 2)]
    parts = ("step_time", "time/generation_s", "time/verification_s")
    return {
        "held_out": {when: {name: round(float(row[name]), 4) for name in shown} for when, row in held_out.items()},
        "train_s": round(sum(row["step_time"] for row in steps), 1),
        "mean_s": {part: round(sum(row[part] for row in steps) / max(len(steps), 1), 2) for part in parts},
        "correct": [round(row["correct_rate"], 3) for row in steps],
        "level_2": [round(row.get("level/2", 0.0), 3) for row in steps],
    }


def ended(out: Path, preset: str) -> list[dict[str, Any]]:
    """What is known of the runs in a folder that came to their end."""
    path = out / "results.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return [row for row in rows if row["preset"] == preset and row["ended"]]


def some_cores(cores: Sequence[int], each: int) -> list[list[int]]:
    """The cores in parts of `each`; what is left over belongs to none."""
    return [list(cores[first : first + each]) for first in range(0, len(cores) - each + 1, each)]


def table_of(preset: str, found: Sequence[dict[str, Any]], command: str) -> Table:
    """One row a run that ended."""
    columns = ["curriculum", "seed", "before, T = 1", "after, T = 1", "before, greedy", "after, greedy",
               "level 1, T = 1", "level 2, T = 1", "points a minute", "minutes", "of CPU"]  # fmt: skip
    rows = []
    for one in sorted(found, key=lambda one: (one["arm"], one["seed"])):
        if {"before", "after"} <= one["held_out"].keys():
            before, after = one["held_out"]["before"], one["held_out"]["after"]
            gain = 100 * (after["sampled/correct"] - before["sampled/correct"])
            rows.append(
                [one["arm"], one["seed"], _share(before, "sampled"), _share(after, "sampled"), _share(before, "greedy"),
                 _share(after, "greedy"), *(_level(before, after, level) for level in (1, 2)),
                 f"{60 * gain / one['train_s']:+.1f}", f"{one['wall_s'] / 60:.1f}",
                 f"{one['cpu_s'] / 60:.1f}"]
            )  # fmt: skip
    notes = [
        "Held-out tasks, with 95 % intervals; points a minute are of training alone, at temperature 1",
        f"Each run had {CORES} cores to itself and no GPU",
    ]
    name = "nano-gain" if preset == "all_extensions" else f"nano-{preset}"
    return Table(name, columns, rows, command, notes, Machine(**found[0]["machine"]))


def means_of(preset: str, found: Sequence[dict[str, Any]], command: str) -> Table:
    """One row a curriculum: means over its seeds, with the lowest and the highest of them."""
    rows = []
    for arm in sorted({one["arm"] for one in found}):
        mine = [one for one in found if one["arm"] == arm]
        after = [100 * one["held_out"]["after"]["sampled/correct"] for one in mine]
        gains = [now - 100 * one["held_out"]["before"]["sampled/correct"] for now, one in zip(after, mine, strict=True)]
        rates = [60 * gain / one["train_s"] for gain, one in zip(gains, mine, strict=True)]
        greedy = [100 * one["held_out"]["after"]["greedy/correct"] for one in mine]
        levels = [
            [100 * one["held_out"]["after"][f"sampled/correct_level_{level}"] for one in mine] for level in (1, 2)
        ]
        rows.append([arm, len(mine), *map(_range, (after, *levels, greedy, gains, rates))])
    columns = ["curriculum", "seeds", "after, T = 1, %", "level 1, %", "level 2, %", "greedy, %", "gain, points",
               "points a minute of training"]  # fmt: skip
    notes = ["Means over seeds; in brackets the lowest and the highest"]
    return Table(f"nano-{preset}-means", columns, rows, command, notes, Machine(**found[0]["machine"]))


def _range(values: Sequence[float]) -> str:
    return f"{fmean(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def _level(before: dict[str, float], after: dict[str, float], level: int) -> str:
    name = f"sampled/correct_level_{level}"
    return f"{100 * before[name]:.0f} → {100 * after[name]:.0f} %"


def _share(figures: dict[str, float], kind: str) -> str:
    share, low, high = (100 * figures[f"{kind}/{name}"] for name in ("correct", "correct_low", "correct_high"))
    return f"{share:.1f} % ({low:.1f}–{high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", required=True, help="ARM:SEED, separated by commas")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="all_extensions", help="one with the curriculum in it")
    parser.add_argument("--first-core", type=int, default=0, help="leave out the cores before this one")
    parser.add_argument("--pairs", type=int, help="runs at a time, each on two cores [default: what there is room for]")
    parser.add_argument("--every", type=int, default=1, help="2: each second core, where two threads share one")
    parser.add_argument("--limit-s", type=float, default=900.0, help="seconds after which a run is ended")
    parser.add_argument("--set", action="append", default=[], help="as of `tritonrl train`")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    known = {(row["arm"], row["seed"]) for row in ended(options.out, options.preset)}
    wanted = [(arm, int(seed)) for arm, seed in (entry.split(":") for entry in options.runs.split(","))]
    run_all([one for one in wanted if one not in known], options, parser)
    if found := ended(options.out, options.preset):
        command = f"python benchmarks/nano_gain.py --preset {options.preset} --runs {options.runs}"
        command += f" --pairs {options.pairs}" if options.pairs else ""
        command += "".join(f" --set {change}" for change in options.set)
        save(table_of(options.preset, found, command))
        save(means_of(options.preset, found, command))


def run_all(wanted: Sequence[tuple[str, int]], options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """The runs, as many side by side as there are pairs of cores, told as they end."""
    cores = [core for core in sorted(os.sched_getaffinity(0)) if core >= options.first_core]
    places = some_cores(cores[:: options.every], CORES)
    if wanted and not places:
        parser.error(f"a run takes {CORES} cores, and there are fewer")
    free: Queue[list[int]] = Queue()
    for place in places[: options.pairs or len(wanted)]:
        free.put(place)
    with ThreadPoolExecutor(max(free.qsize(), 1)) as pool, (options.out / "results.jsonl").open("a") as results:
        running = [pool.submit(run, arm, seed, free, options.out, options) for arm, seed in wanted]
        for future in as_completed(running):
            line = json.dumps(future.result())
            for file in (results, sys.stdout):
                file.write(line + "\n")
                file.flush()


if __name__ == "__main__":
    main()
