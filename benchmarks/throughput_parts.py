"""What the rate of verification depends on: the family, the batch, the cores. On a GPU.

    python benchmarks/throughput_parts.py families [--count 32]        # each family by itself, right kernels
    python benchmarks/throughput_parts.py mixes [--tasks 20]           # batches of other shares of failures
    python benchmarks/throughput_parts.py cores [--seconds 20]         # …, 8, 4, 2 cores, all families

Unique candidates, each with kernels of its own name, so that nothing is compiled twice or answered from memory (but
for the batch that says so). `families` and `cores` are of the bench (five cases of two signatures, 10 + 100 timed
runs), `mixes` of the whole verifier under `all_extensions`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from funnel_gain import RIGHT, make_batch
from tables import Table, save
from verify_throughput import REQUEST, on_gpu, renamed

from tritonrl_core.bench.gpu_program import GpuBench
from tritonrl_core.bench.resolve import resolve_spec
from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import BenchSpec, Candidate, Status, Task
from tritonrl_core.verifier import Verifier

CUDA = ["verifier.device=cuda"]
Row = list[Any]


@dataclass(frozen=True)
class Part:
    """One table: its columns, and what gives its rows one by one."""

    columns: Sequence[str]
    rows: Callable[[argparse.Namespace], Iterator[Row]]
    option: str


def families(chosen: argparse.Namespace) -> Iterator[Row]:
    """A row a family: how many candidates a second, and where their time goes."""
    bench = open_bench()
    jobs = by_family(chosen.count)
    warm_up(bench, next(iter(jobs.values()))[0])
    for family, mine in sorted(jobs.items()):
        found = on_gpu(bench, mine, apart=False, most_s=60.0)
        ms = found["mean_ms_a_candidate"]
        yield [family, found["candidates"], found["candidates_per_s"], found["statuses"].get("PASSED", 0),
               ms.get("record"), ms.get("compile"), ms.get("check: worker"), ms.get("timing: alone on the GPU"),
               found["gpu_busy_percent"]]  # fmt: skip
    bench.close()


def by_family(count: int) -> dict[str, list[tuple[Task, str]]]:
    """`count` candidates of each family, the family's solutions over and over."""
    tasks = {task.id: task for task in builtin_tasks("all")}
    solutions: dict[str, list[tuple[Task, str]]] = {}
    for golden in golden_solutions():
        task = tasks[golden.task_id]
        solutions.setdefault(task.family, []).append((task, golden.code))
    return {
        family: [(own[n % len(own)][0], renamed(own[n % len(own)][1], 10_000 + n)) for n in range(count)]
        for family, own in solutions.items()
    }


def mixes(chosen: argparse.Namespace) -> Iterator[Row]:
    """A row a batch: right ones, and 70 % failing in two ways; the last has every candidate twice."""
    preset = load_preset("all_extensions", [*CUDA, "without=[fusion]"])
    with Verifier(preset) as verifier:
        verifier.verify_batch([(job.task, job.candidate) for job in make_batch(4, 4, 99, RIGHT)])
        for number, (words, mix) in enumerate(BATCHES.items()):
            jobs = [(job.task, job.candidate) for job in make_batch(chosen.tasks, 10, number, mix)]
            jobs += jobs if "twice" in words else []
            began = time.perf_counter()
            scores = verifier.verify_batch(jobs)
            seconds = time.perf_counter() - began
            assert not any(score.verdict.status is Status.INFRA for score in scores), "INFRA among the verdicts"
            found = Counter(str(score.verdict.status) for score in scores)
            yield [words, len(jobs), len(jobs) / seconds, sum(score.timing is not None for score in scores),
                   ", ".join(f"{n} {status}" for status, n in found.most_common())]  # fmt: skip


BATCHES: Mapping[str, str] = {
    "all right": RIGHT,
    "70 % failing, half of them by wrong results": "young",
    "70 % failing, spread over the stages": "even",
    "70 % failing, each candidate twice": "young",
}


def cores(chosen: argparse.Namespace) -> Iterator[Row]:
    """A row a number of cores, most first: this benchmark's own machine with all but the first cores taken away."""
    have = sorted(os.sched_getaffinity(0))
    for count in (number for number in (32, 16, 8, 4, 2) if number <= len(have)):
        command = ["taskset", "-c", ",".join(map(str, have[:count])), sys.executable, "benchmarks/verify_throughput.py",
                   "--device", "cuda", "--count", "2000", "--seconds", str(chosen.seconds)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=chosen.seconds + 120, check=True)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        yield [count, found["candidates"], found["candidates_per_s"], found["candidates_per_s"] / count,
               found["cores_used"], found["gpu_busy_percent"]]  # fmt: skip


PARTS: Mapping[str, Part] = {
    "families": Part(("family", "candidates", "candidates/s", "passed", "ms to record", "ms to compile",
                      "ms of a worker for checks", "ms alone on the GPU", "GPU busy, %"), families, "count"),
    "mixes": Part(("batch", "candidates", "verdicts/s", "timed", "verdicts"), mixes, "tasks"),
    "cores": Part(("cores", "candidates", "candidates/s", "for each core", "cores used", "GPU busy, %"), cores,
                  "seconds"),
}  # fmt: skip


def open_bench() -> GpuBench:
    """The bench of this machine's first GPU, with nothing known."""
    spec: BenchSpec = replace(resolve_spec(load_preset("baseline", CUDA)), timeout_s=60.0, worker_preset={})
    return GpuBench(replace(spec, gpus=spec.gpus[:1]), make_cases)


def warm_up(bench: GpuBench, job: tuple[Task, str]) -> None:
    task, code = job
    bench.program(task, Candidate.from_code(renamed(code, 9_999))).run(make_cases(task, REQUEST)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--count", type=int, default=32, help="candidates of each family")
    parser.add_argument("--tasks", type=int, default=20, help="groups of ten in each batch")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each number of cores")
    chosen = parser.parse_args()
    name, option = chosen.part, PARTS[chosen.part].option
    command = f"python benchmarks/throughput_parts.py {name} --{option} {getattr(chosen, option):g}"
    rows: list[Row] = []
    for row in PARTS[name].rows(chosen):
        rows.append(row)
        print(json.dumps(row), flush=True)
        save(table(name, rows, command, whole=False))  # at once: it may be ended from outside
    save(table(name, rows, command, whole=True))


def table(name: str, rows: Sequence[Row], command: str, *, whole: bool) -> Table:
    """A row for each that was measured; `whole`: they are all there."""
    notes = [] if whole else [f"Only these {len(rows)}: what the time was enough for"]
    return Table(f"throughput-{name}", PARTS[name].columns, list(rows), command, notes)


if __name__ == "__main__":
    main()
