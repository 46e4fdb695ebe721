"""Do estimated speedups rank kernels as measured ones do? Golden solutions and slower variants of them, by family.

    python benchmarks/estimate_agreement.py measure     # on a GPU: build/estimate_agreement/measured.jsonl
    python benchmarks/estimate_agreement.py estimate    # anywhere: build/estimate_agreement/estimated.jsonl
    python benchmarks/estimate_agreement.py table       # joins both, for `benchmarks/tables.py`

Where nothing was measured here, `table` takes what is in `agreement_h200/`: `measured.jsonl`, of tasks on which the
estimate's constants were chosen (`--tasks 3`), and `fresh_*.jsonl`, of other tasks (`--tasks 3 --after 3`), estimated
before they were measured. `bench/timing/agreement.py` holds the latter's figures.

Tasks lie between the suite's two sizes, so that the CPU can replay them and a GPU has something to do. Each part goes
on where it stopped, and stops after `--seconds`. The first figure is Spearman's rank correlation of estimated with
measured speedups over the eager reference, of all kernels of a family that pass; the second its mean over the family's
tasks, each by itself: what a group of completions for one task would see.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from kernel_variants import variants
from tables import RESULTS, Machine, Table, save, this_machine

from tritonrl_core.bench.local import open_local_bench
from tritonrl_core.bench.resolve import resolve_spec
from tritonrl_core.bench.timing.agreement import ENOUGH
from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, CaseRequest, Status, Task, TimingProtocol

FOLDER = RESULTS.parent / "estimate_agreement"
MEASURED = Path(__file__).resolve().parent / "agreement_h200"
PROTOCOL = TimingProtocol(method="published", warmup=5, trials=30, captures=1)
ALL = "all"

FEWEST = 8
"""Kernels of a family below which no figure is given."""

_CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]*) = (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Kernel:
    """A golden solution or a variant of it."""

    task: Task
    variant: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.task.id}: {self.variant}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("measure", "estimate", "table"))
    parser.add_argument("--tasks", type=int, default=3, help="tasks of each family")
    parser.add_argument("--after", type=int, default=0, help="leave out so many tasks of each family")
    parser.add_argument("--seconds", type=float, default=500.0, help="stop after so long")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    if chosen.part == "table":
        save(table(chosen.folder))
        return
    device = "cuda" if chosen.part == "measure" else "cpu"
    judge(kernels(chosen.tasks, chosen.after), device, chosen.folder / f"{chosen.part}d.jsonl", chosen.seconds)


def kernels(most: int, after: int = 0) -> list[Kernel]:
    """Golden solutions of at most so many tasks of each family, with their variants, those of the first ones left out.

    The training split's come first, then the held-out one's.
    """
    small, full = (
        {task.id: task for split in ("train", "held_out") for task in builtin_tasks(split, size)}
        for size in ("small", "full")
    )
    code = {solution.task_id: solution.code for solution in golden_solutions()}
    taken: dict[str, list[Task]] = defaultdict(list)
    for name, task in small.items():
        if name in code and len(taken[task.family]) < after + most:
            taken[task.family].append(between(task, full[name]))
    return [
        Kernel(task, variant, text)
        for tasks in taken.values() for task in tasks[after:] for variant, text in variants(code[task.id]).items()
    ]  # fmt: skip


def between(small: Task, full: Task) -> Task:
    """The task with every size half way between the two, by ratio."""
    large = {name: int(value) for name, value in _CONSTANT.findall(full.source)}

    def middle(match: re.Match[str]) -> str:
        size = int(match[2])
        return f"{match[1]} = {round((size * large.get(match[1], size)) ** 0.5)}"

    return replace(small, source=_CONSTANT.sub(middle, small.source), vary={}, dtypes=())


def judge(found: Sequence[Kernel], device: str, path: Path, seconds: float) -> None:
    """Speedups on a bench, one line a kernel; what the file has already is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {row["name"] for row in rows(path)}
    left = [kernel for kernel in found if kernel.name not in done]
    if not done:
        (path.with_suffix(".machine.json")).write_text(json.dumps(this_machine().__dict__))
    spec = replace(resolve_spec(load_preset("baseline", [f"verifier.device={device}"])), timeout_s=60.0)
    bench = open_local_bench(spec, make_cases)
    ends = time.perf_counter() + seconds

    def one(kernel: Kernel) -> dict[str, Any] | None:
        if time.perf_counter() > ends:
            return None
        program = bench.program(kernel.task, Candidate.from_code(kernel.code))
        result = program.run(make_cases(kernel.task, CaseRequest(count=1))[0])
        row = {"name": kernel.name, "family": kernel.task.family, "status": str(result.status), "reason": result.reason}
        if result.status is not Status.PASSED:
            return row
        timing = program.time(PROTOCOL)
        kept = ("launches", "registers", "spill_bytes", "shared_bytes", "occupancy")
        work = {name: result.facts[name] for name in kept} if device == "cpu" else {}
        median = sorted(timing.candidate_us)[len(timing.candidate_us) // 2]
        return {**row, "speedup": timing.speedup, "us": median, **work}

    with ThreadPoolExecutor(spec.cpu_workers) as pool, path.open("a") as file:
        for future in as_completed([pool.submit(one, kernel) for kernel in left]):
            try:
                row = future.result()
            except Exception as error:  # noqa: BLE001 - one kernel's failure is a line on the screen, not the end
                print(f"{type(error).__name__}: {error}"[:200], file=sys.stderr)
                continue
            if row is not None:
                file.write(json.dumps(row) + "\n")
                file.flush()
    bench.close()
    print(f"{path}: {len(rows(path))} of {len(found)} kernels")


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(folder: Path) -> Table:
    """Agreement by family and of all together: on tasks that no constant was chosen on, and beside it on the others."""
    own = folder if (folder / "measured.jsonl").exists() and (folder / "estimated.jsonl").exists() else None
    fresh = figures(own or MEASURED, "" if own else "fresh_")
    chosen_on = figures(MEASURED, "")
    lines: list[list[Any]] = []
    for family in [*sorted((chosen_on.keys() | fresh.keys()) - {ALL}), ALL]:
        count, rank, within = fresh.get(family, (0, None, None))
        earns = "yes" if rank is not None and within is not None and min(rank, within) >= ENOUGH else "no"
        lines.append([family, count, rank, within, earns, *chosen_on.get(family, (0, None, None))])
    columns = ["family", "kernels of fresh tasks", "rank correlation", "mean within a task", f"both at least {ENOUGH}",
               "kernels the constants were chosen on", "rank correlation", "mean within a task"]  # fmt: skip
    where = (own or MEASURED) / ("measured.machine.json" if own else "fresh_measured.machine.json")
    machine = {"machine": load_machine(where)} if where.exists() else {}
    return Table("estimate-agreement", columns, lines, "python benchmarks/estimate_agreement.py measure|estimate|table",
                 **machine)  # fmt: skip


def figures(folder: Path, prefix: str) -> dict[str, tuple[int, float | None, float]]:
    """By family, and for `all`: kernels, the rank correlation over them (None for few) and its mean within a task."""
    measured, estimated = (
        {row["name"]: row for row in rows(folder / f"{prefix}{part}.jsonl") if "speedup" in row}
        for part in ("measured", "estimated")
    )
    families: dict[str, list[str]] = defaultdict(list)
    for name in sorted(measured.keys() & estimated.keys()):
        families[measured[name]["family"]].append(name)
        families[ALL].append(name)
    found = {}
    for family, names in families.items():
        rank = agreement(names, estimated, measured) if len(names) >= FEWEST else None
        each = [agreement(list(part), estimated, measured)
                for _, part in groupby(names, lambda name: name.partition(":")[0])]  # fmt: skip
        found[family] = len(names), rank, sum(each) / len(each)
    return found


def agreement(names: Sequence[str], estimated: Mapping[str, Any], measured: Mapping[str, Any]) -> float:
    """Rank correlation of the two speedups of some kernels."""
    mine, theirs = ([source[name]["speedup"] for name in names] for source in (estimated, measured))
    return spearman(mine, theirs)


def load_machine(path: Path) -> Machine:
    """Where the measured half comes from."""
    return Machine(**json.loads(path.read_text()))


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation; equal values share the mean of their ranks. 0 where either side has one value only."""
    a, b = ranks(one), ranks(other)
    mean = (len(a) - 1) / 2
    both = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    spread = (sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)) ** 0.5
    return both / spread if spread else 0.0


def ranks(values: Sequence[float], key: Callable[[float], float] = lambda value: round(value, 9)) -> list[float]:
    """Ranks from 0, of equal values their mean."""
    order = sorted(key(value) for value in values)
    first = {value: order.index(value) for value in set(order)}
    return [first[key(value)] + (order.count(key(value)) - 1) / 2 for value in values]


if __name__ == "__main__":
    main()
