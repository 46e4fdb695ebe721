"""Where the CPU time of a candidate goes: `python benchmarks/cpu_profile.py [--what verdict|prepare] [--count N]`.

Golden solutions with kernels of their own names (see `verify_throughput.py`) are prepared (recorded and compiled for
two signatures) or judged (five cases replayed on the CPU as well). The processor time of the verifier's process and of
each kind of worker below it is read from /proc, in user mode and in the kernel, and set beside the floor: what the same
work takes in one process that forks nothing. Forks, page faults after a fork and transport are the difference. CPU time
says little of other work on the machine, so it may be measured on a busy one; the load average is in the notes.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tables import Table, save
from verify_throughput import REQUEST, unique_candidates

from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.local import LocalBench, open_local_bench
from tritonrl_core.bench.plan.schema import Kernel, LaunchPlan
from tritonrl_core.bench.prepare import Preparation, Ready
from tritonrl_core.bench.processes.forkserver import ForkServer
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, InputCase, Status, Task

PARENT = "verifier's own process"
TICK = os.sysconf("SC_CLK_TCK")
Job = tuple[Task, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=("verdict", "prepare"), default="verdict")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--floor", action="store_true", help="also what recording and compiling take without forks")
    parser.add_argument("--save", default="", help="keep the table under this name for benchmarks/tables.py")
    chosen = parser.parse_args()
    measured = measure(chosen.what, chosen.count, chosen.workers)
    floors = floor(chosen.what, chosen.count) if chosen.floor else {}
    rows = [[*row, floors.get(str(row[0]))] for row in measured["rows"]]
    print(json.dumps({**measured, "rows": rows}), flush=True)
    if chosen.save:
        flags = f"--what {chosen.what} --count {chosen.count}" + (" --floor" if chosen.floor else "")
        save(Table(chosen.save, ["ms of CPU a candidate", "user", "kernel", "all", "floor"], rows,
                   f"python benchmarks/cpu_profile.py {flags}", [measured["note"]]))  # fmt: skip


def measure(what: str, count: int, workers: int) -> dict[str, Any]:
    """CPU milliseconds a candidate by kind of process, and the rate."""
    spec = BenchSpec(
        device="cpu", target="sm_90", cpu_workers=workers, gpus=(), gpu_memory_bytes=None, timeout_s=60.0,
        delegation="layout_only", precision="ieee", worker_preset={},
    )  # fmt: skip
    bench = open_local_bench(spec, make_cases)
    assert isinstance(bench, LocalBench)
    bench.describe()
    preparation = bench._prepare()
    one = (lambda job: judged(bench, job)) if what == "verdict" else (lambda job: prepared(preparation, job))
    jobs = unique_candidates(2 * count)
    with ThreadPoolExecutor(2 * workers) as pool:
        list(pool.map(one, jobs[:count]))  # references are prepared once, as in training
        before, began = used(bench), time.perf_counter()
        wrong = [job[0].id for job, ok in zip(jobs[count:], pool.map(one, jobs[count:]), strict=True) if not ok]
        wall, after = time.perf_counter() - began, used(bench)
    bench.close()
    rows = []
    for name in after:
        user, kernel = (1e3 * (b - a) / count for a, b in zip(before[name], after[name], strict=True))
        rows.append([name, round(user, 1), round(kernel, 1), round(user + kernel, 1)])
    rows.append(["all", *(round(sum(row[place] for row in rows), 1) for place in (1, 2, 3))])
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    note = f"{count} candidates on {workers} workers: {count / wall:.2f} a second, load average {load}"
    return {"what": what, "note": f"{note}; not right: {', '.join(wrong) or 'none'}", "rows": rows}


def judged(bench: LocalBench, job: Job) -> bool:
    """Five cases of at most two signatures, all right."""
    program = bench.program(job[0], Candidate.from_code(job[1]))
    return all(program.run(case).status is Status.PASSED for case in five(program.cases(asked())))


def prepared(preparation: Preparation, job: Job) -> bool:
    """Recorded and compiled for two signatures."""
    first, *more = list({case.signature: case for case in make_cases(job[0], REQUEST)}.values())[:2]
    candidate = Candidate.from_code(job[1])
    ready = [preparation.prepare(job[0], candidate, first, more)]
    ready += [preparation.prepare(job[0], candidate, case) for case in more]
    return all(isinstance(part, Ready) for part in ready)


def asked() -> CaseRequest:
    return CaseRequest(count=10, shapes=True, values=True)


def five(cases: Any) -> list[InputCase]:
    """The first five cases of the first two signatures."""
    signatures = list(dict.fromkeys(case.signature for case in cases))[:2]
    return [case for case in cases if case.signature in signatures][:5]


def used(bench: LocalBench) -> dict[str, tuple[float, float]]:
    """Seconds in user mode and in the kernel so far, by kind of process, with what they have reaped."""
    preparation = bench._prepare()
    servers: Mapping[str, ForkServer] = {
        "recording": preparation._recordings._server,
        "compiling": preparation._binaries._server,
        "replaying": bench._resources.server,
    }
    parents, times = _processes()
    mine = times[os.getpid()]
    found = {PARENT: (mine[0], mine[1])}
    for name, server in servers.items():
        family = {server._warm._process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        all_times = [times[pid] for pid in family if pid in times]
        found[name] = (sum(item[0] + item[2] for item in all_times), sum(item[1] + item[3] for item in all_times))
    return found


def _processes() -> tuple[dict[int, int], dict[int, list[float]]]:
    """Parent, and [user, kernel, reaped user, reaped kernel] seconds, of every process."""
    parents, times = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        times[int(entry.name)] = [int(value) / TICK for value in fields[11:15]]
    return parents, times


def floor(what: str, count: int) -> dict[str, float]:
    """Milliseconds of CPU that the same recordings and compilations take where nothing is forked but the assembler."""
    from tritonrl_core.bench.compile import compiler
    from tritonrl_core.bench.record import recorder
    from tritonrl_core.bench.record.recordings import Recordings
    from tritonrl_core.bench.record.request import read_recording
    from tritonrl_core.bench.targets import gpu_for

    recordings = Recordings.__new__(Recordings)  # what it knows of shapes, without its workers
    recordings.gpu, recordings._lock = gpu_for("sm_90"), threading.Lock()
    recordings._shapes, recordings._references = OrderedDict(), OrderedDict()
    requests, whole = [], []
    for task, code in unique_candidates(2 * count)[count:]:
        others = make_cases(task, CaseRequest(count=3, shapes=True)) if task.vary else []
        written = make_cases(task, CaseRequest())[0].signature
        request = asked() if what == "verdict" else REQUEST
        for case in list({case.signature: case for case in make_cases(task, request)}.values())[:2]:
            requests.append(recordings.request(task, Candidate.from_code(code), case, others))
            whole.append(what == "prepare" or case.signature == written)
    recorder.warm()
    compiler.warm()
    plans, recording = timed(lambda: [read_recording(recorder.record(request)) for request in requests])
    kernels: dict[tuple[str, str], tuple[Kernel, bool]] = {}
    for plan, to_the_end in sorted(zip(plans, whole, strict=True), key=lambda pair: pair[1]):
        assert isinstance(plan, LaunchPlan)
        kernels |= {(kernel.ttir, repr(kernel.options)): (kernel, to_the_end) for kernel in plan.kernels}
    built, compiling = timed(
        lambda: [
            compiler.compile_kernel(kernel.ttir, kernel.options, recordings.gpu, whole=to_the_end)
            for kernel, to_the_end in kernels.values()
        ]
    )
    assert all(isinstance(part, CompiledKernel) for part in built)
    return {"recording": round(1e3 * recording / count, 1), "compiling": round(1e3 * compiling / count, 1)}


def timed(work: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    """What it gives, and its CPU seconds with those of what it started and reaped."""
    before = sum(os.times()[:4])
    result = work()
    return result, sum(os.times()[:4]) - before


if __name__ == "__main__":
    main()
