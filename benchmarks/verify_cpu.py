"""How many candidates the CPU bench judges: `python benchmarks/verify_cpu.py [COUNT] [WORKERS] [CASES]`.

With one case (the default, as nano trains): golden solutions of small elementwise and reduction tasks, each made unique
by a comment; equal kernels share compiling. With more cases (5 is what is published): golden solutions of all families
with kernels of names of their own, so that nothing is shared, on cases of at most two signatures. Recorded, compiled,
replayed and compared, from as many threads as the verifier uses. Prints one line of JSON. Other work on the machine
shows in the rate, so the load average is in it, and the CPU time of a candidate, which depends less on that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tables import Table, save
from verify_throughput import unique_candidates

from tritonrl_core.bench.local import LocalBench, open_local_bench
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, CaseResult, Status, Task

FAMILIES = ("elementwise", "reduction", "softmax", "normalisation", "loss")


def main(count: int, workers: int, cases: int) -> None:
    spec = BenchSpec(
        device="cpu", target="sm_90", cpu_workers=workers, gpus=(), gpu_memory_bytes=None, timeout_s=30.0,
        delegation="layout_only", precision="ieee", worker_preset={},
    )  # fmt: skip
    bench = open_local_bench(spec, make_cases)
    began = time.perf_counter()
    bench.describe()
    ready = time.perf_counter()
    if cases == 1:
        chosen = zip(range(count), _repeat(_pairs()), strict=False)
        jobs = [(task, f"{code}\n# {number}\n") for number, (task, code) in chosen]
        first = _pairs()
    else:
        jobs = unique_candidates(2 * count)
        first, jobs = jobs[:count], jobs[count:]
    with ThreadPoolExecutor(2 * workers) as pool:
        list(pool.map(lambda job: _judge(bench, *job, cases), first))  # references are prepared once, as in training
        started, spent = time.perf_counter(), _cpu_seconds()
        results = list(pool.map(lambda job: _judge(bench, *job, cases), jobs))
    seconds, spent = time.perf_counter() - started, _cpu_seconds() - spent
    bench.close()
    families = Counter(task.family for task, _ in jobs)
    figures = {
        "candidates": count, "cases": cases, "workers": workers, "cores": len(os.sched_getaffinity(0)),
        "start_s": round(ready - began, 1), "seconds": round(seconds, 1),
        "per_minute": round(60 * count / seconds), "per_second": round(count / seconds, 2),
        "cpu_ms": round(1000 * spent / count, 1),
        "statuses": Counter(result.status.value for result in results), "families": families,
        "load_average": os.getloadavg(),
    }  # fmt: skip
    print(json.dumps(figures))
    columns = ["candidates", "input cases of each", "workers", "candidates a second", "ms of CPU each", "verdicts"]
    verdicts = ", ".join(f"{number} {status}" for status, number in figures["statuses"].items())
    row = [count, cases, workers, figures["per_second"], figures["cpu_ms"], verdicts]
    command = f"python benchmarks/verify_cpu.py {count} {workers} {cases}"
    load = ", ".join(f"{one:.1f}" for one in figures["load_average"])
    save(Table("verify-cpu", columns, [row], command, [f"Load average {load}"]))


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


def _judge(bench: LocalBench, task: Task, code: str, cases: int) -> CaseResult:
    """The worst result on some cases of at most two signatures."""
    program = bench.program(task, Candidate.from_code(code))
    asked = program.cases(CaseRequest(count=2 * cases, shapes=True, values=True) if cases > 1 else CaseRequest())
    signatures = list(dict.fromkeys(case.signature for case in asked))[:2]
    chosen = [case for case in asked if case.signature in signatures][:cases]
    results = [program.run(case) for case in chosen]
    return next((result for result in results if result.status is not Status.PASSED), results[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("count", 400), ("workers", 2), ("cases", 1)):
        parser.add_argument(name, type=int, nargs="?", default=default)
    chosen = parser.parse_args()
    main(chosen.count, chosen.workers, chosen.cases)
