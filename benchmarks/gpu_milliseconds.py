"""Where a verification's milliseconds on the GPU go, against the least that they could be. On a GPU.

    python benchmarks/gpu_milliseconds.py [--tasks 12] [--seconds 120]

For golden solutions at full size, one of each family: one check of a case that is new to the worker, and one timing by
the shipped defaults (`adaptive`, baseline not known), by the code that the replay worker runs, in this process under
PyTorch's profiler. Each kernel and copy on the device counts where its name puts it; what bears no other name is the
trusted side's arithmetic: the reference in its own precision and in double, and the comparison.

The floor of a check is reading inputs and writing outputs once. The floor of a timing is what its runs must move:
inputs and outputs of candidate and baseline, and the flush of the cache before each run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from typing import Any

from tables import Table, save

from tritonrl_core.types import TimingProtocol

PROTOCOL = TimingProtocol("adaptive", warmup=20, trials=100, trim=0.1, ci=0.005)
"""The shipped defaults of the `timing` plugin."""

COLUMNS = ["family", "inputs and outputs, MB", "check, ms", "of it: candidate", "values drawn", "fills and copies",
           "reference and comparison", "floor, ms", "timing, ms", "of it: candidate's and baseline's runs",
           "fills and flushes", "floor of timing, ms"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=120.0, help="begin no further family after so long")
    chosen = parser.parse_args()
    ends = time.perf_counter() + chosen.seconds
    rows: list[list[Any]] = []
    failed: list[str] = []
    for job in jobs(chosen.tasks):
        if time.perf_counter() > ends:
            break
        try:
            rows.append(measured(job))
        except Exception as error:  # noqa: BLE001 - one family's failure is a result, and the others are still to come
            failed.append(f"{job.task.id}: {type(error).__name__}: {str(error)[:200]}")
            print(failed[-1], flush=True)
            continue
        print(json.dumps(rows[-1]), flush=True)
        save(Table("gpu-milliseconds", COLUMNS, rows, "python benchmarks/gpu_milliseconds.py", notes(failed)))
    if not rows:
        sys.exit("nothing was measured")


def notes(failed: list[str]) -> list[str]:
    """What stands below the table."""
    return [f"Not measured: {'; '.join(failed)}"] if failed else []


def jobs(most: int) -> list[Any]:
    """A recorded and compiled golden solution for one task of each family, at full size."""
    from concurrent.futures import ThreadPoolExecutor

    from tritonrl_core.bench.prepare import Preparation, Ready
    from tritonrl_core.bench.replay.job import Job, plan_bytes
    from tritonrl_core.bench.targets import gpu_for
    from tritonrl_core.tasks.cases import make_cases
    from tritonrl_core.tasks.golden import golden_solutions
    from tritonrl_core.tasks.suite import builtin_tasks
    from tritonrl_core.types import BenchSpec, Candidate, CaseRequest

    code = {solution.task_id: solution.code for solution in golden_solutions()}
    first = {task.family: task for task in reversed(builtin_tasks("train", "full")) if task.id in code}
    tasks = [first[family] for family in sorted(first)][:most]
    workers = len(os.sched_getaffinity(0))
    spec = BenchSpec("cpu", "sm_90", workers, (), None, 60.0, "layout_only", "ieee", {})
    preparation = Preparation(spec, gpu_for("sm_90"), make_cases)

    def one(task: Any) -> Any:
        case = make_cases(task, CaseRequest(count=1))[0]
        ready = preparation.prepare(task, Candidate.from_code(code[task.id]), case)
        if not isinstance(ready, Ready):
            return None
        return Job(task, case, ready.plan, ready.built, key=plan_bytes(ready.plan, ready.built).key)

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(one, tasks))
    preparation.close()
    return [job for job in found if job is not None]


def measured(job: Any) -> list[Any]:
    """One row of the table."""
    import torch

    from tritonrl_core.bench.replay.check import FLUSH_BYTES, Bench
    from tritonrl_core.bench.replay.timing import measure

    device = torch.device("cuda:0")
    warm = Bench(device)
    warm.check(job)  # libraries are warm
    measure(warm, job, PROTOCOL)
    del warm
    bench = Bench(device)
    names = [kernel.name for kernel in job.plan.kernels]
    gpu = torch.cuda.get_device_properties(0)
    rate = 2e3 * gpu.memory_clock_rate * gpu.memory_bus_width / 8
    check, answer = profiled(lambda: bench.check(job), names)
    timing, found = profiled(lambda: measure(bench, job, PROTOCOL), names)
    assert (answer["status"], found["status"]) == ("PASSED", "PASSED"), (answer, found)
    moved = sum(ref.nbytes for ref in _given(job.plan))
    runs = sum(len(lane) for lane in found["candidate_us"]) + sum(len(lane) for lane in found["baseline_us"]["eager"])
    flush = min(2 * gpu.L2_cache_size, FLUSH_BYTES)
    ran = sum(sum(lane) for lane in (*found["candidate_us"], *found["baseline_us"]["eager"])) / 1e3
    return [
        job.task.family, round(moved / 1e6, 1), total(check), check["candidate"], check["values"], check["fills"],
        check["trusted"], round(moved / rate * 1e3, 3), total(timing), round(ran, 2), timing["fills"],
        round(runs * (moved + flush) / rate * 1e3, 2),
    ]  # fmt: skip


def total(parts: Counter[str]) -> float:
    """Milliseconds of all parts."""
    return round(sum(parts.values()), 2)


def profiled(work: Any, names: list[str]) -> tuple[Counter[str], Any]:
    """Milliseconds of the device by part while `work` ran, and what it gave."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        result = work()
        torch.cuda.synchronize()
    parts: Counter[str] = Counter()
    for event in seen.events():
        if str(event.device_type).endswith("CUDA"):
            parts[part_of(event.name, names)] += event.time_range.elapsed_us() / 1e3
    if not parts:
        raise RuntimeError("the profiler saw nothing on the device: is CUPTI allowed here?")
    return Counter({name: round(value, 3) for name, value in parts.items()}), result


def part_of(name: str, candidate: list[str]) -> str:
    """Whose work a kernel is, by its name."""
    lower = name.lower()
    if any(name.startswith(mine) for mine in candidate):
        return "candidate"
    if "distribution" in lower or "philox" in lower:
        return "values"
    if "memset" in lower or "memcpy" in lower or "fillfunctor" in lower or "copy" in lower:
        return "fills"
    return "trusted"


def _given(plan: Any) -> list[Any]:
    """Buffers that the plan is given and gives."""
    from tritonrl_core.bench.plan.schema import TensorRef

    refs = [*plan.inputs, *plan.parameters.values(), *(out for out in plan.outputs if isinstance(out, TensorRef))]
    return [plan.buffers[number] for number in {ref.buffer for ref in refs}]


if __name__ == "__main__":
    main()
