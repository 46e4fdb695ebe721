"""How many candidates a minute the CPU bench judges: `python benchmarks/verify_cpu.py [COUNT] [WORKERS]`.

Unique candidates (the golden solutions of small elementwise and reduction tasks, each made unique by a comment) on one
case each, from as many threads as the verifier uses. All of it is done anew for each, but for compiling: equal kernels
share that. Prints one line of JSON. Other work on the machine shows in the rate, so the load average is in it, and the
CPU time of a candidate, which does not depend on that.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tritonrl_core.bench.local import LocalBench, open_local_bench
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, CaseResult, Task

FAMILIES = ("elementwise", "reduction", "softmax", "normalisation", "loss")


def main(count: int, workers: int) -> None:
    spec = BenchSpec(
        device="cpu", target="sm_90", cpu_workers=workers, gpus=(), gpu_memory_bytes=None, timeout_s=30.0,
        delegation="layout_only", precision="ieee", worker_preset={},
    )  # fmt: skip
    bench = open_local_bench(spec, make_cases)
    began = time.perf_counter()
    bench.describe()
    ready = time.perf_counter()
    chosen = zip(range(count), _repeat(_pairs()), strict=False)
    jobs = [(task, f"{code}\n# {number}\n") for number, (task, code) in chosen]
    with ThreadPoolExecutor(2 * workers) as pool:
        list(pool.map(lambda job: _judge(bench, *job), _pairs()))  # references are prepared once, as in training
        started, spent = time.perf_counter(), _cpu_seconds()
        results = list(pool.map(lambda job: _judge(bench, *job), jobs))
    seconds, spent = time.perf_counter() - started, _cpu_seconds() - spent
    bench.close()
    families = Counter(task.family for task, _ in jobs)
    figures = {
        "candidates": count, "workers": workers, "cores": len(os.sched_getaffinity(0)),
        "start_s": round(ready - began, 1), "seconds": round(seconds, 1), "per_minute": round(60 * count / seconds),
        "cpu_ms": round(1000 * spent / count, 1),
        "statuses": Counter(result.status.value for result in results), "families": families,
        "load_average": os.getloadavg(),
    }  # fmt: skip
    print(json.dumps(figures))


def _pairs() -> list[tuple[Task, str]]:
    tasks = {task.id: task for task in builtin_tasks("train") if task.level == 1}
    chosen = [task for task in tasks.values() if task.family in FAMILIES]
    golden = {solution.task_id: solution.code for solution in golden_solutions()}
    return [(task, golden[task.id]) for task in chosen if task.id in golden]


def _cpu_seconds() -> float:
    """CPU time of this process and of every process below it, with what they have reaped."""
    parents, times = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(stat[1])
                times[int(entry.name)] = sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
    below = {os.getpid()}
    for _ in range(4):  # verifier, warm process, dispatcher, candidate
        below |= {pid for pid, parent in parents.items() if parent in below}
    return sum(times[pid] for pid in below)


def _repeat(pairs: list[tuple[Task, str]]):  # type: ignore[no-untyped-def]
    while True:
        yield from pairs


def _judge(bench: LocalBench, task: Task, code: str) -> CaseResult:
    program = bench.program(task, Candidate.from_code(code))
    return program.run(program.cases(CaseRequest())[0])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, int(sys.argv[2]) if len(sys.argv) > 2 else 2)
