"""How many candidates a second the bench records, compiles and replays: `python benchmarks/verify_throughput.py`.

Unique candidates (the golden solutions of at least eight families of both levels, each with kernels of its own name, so
that nothing is cached) on five cases of at most two signatures each. Without a GPU: recording and compiling for the
target. With one: also replaying, and 10 + 100 timed runs with the cache flushed before each. Prints one line of JSON;
the load average is in it, because other work on the machine shows in the figure.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tables import Table, save

from tritonrl_core.bench import prepare
from tritonrl_core.bench.gpu_program import GpuBench, GpuProgram, workers_for
from tritonrl_core.bench.prepare import Preparation, Stop
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.errors import InfraError
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, Status, Task, TimingProtocol

PROTOCOL = TimingProtocol(method="simple", warmup=10, trials=100, captures=1)
LEFT = "left"
REQUEST = CaseRequest(count=5, shapes=True, values=True, layouts=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--target", default="sm_90")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--gpu-workers", type=int, default=0, help="replay workers on the GPU (0: by its cores)")
    parser.add_argument("--method", choices=("simple", "published", "adaptive"), default="simple", help="of timing")
    parser.add_argument("--at-once", type=int, default=0, help="with a GPU: candidates in work (0: as in a verifier)")
    parser.add_argument("--apart", type=int, default=0, help="with a GPU: before, prepare so many and then replay them")
    parser.add_argument("--seconds", type=float, default=math.inf, help="with a GPU: begin no candidate after so long")
    parser.add_argument("--save", default="", help="keep results under this name for benchmarks/tables.py")
    parser.add_argument("--signatures", type=int, default=2, help="signatures a candidate (without a GPU)")
    parser.add_argument("--yields", action="store_true", help="recorders and compilers run where nothing else wants to")
    chosen = parser.parse_args()
    gpus = (0,) if chosen.device == "cuda" else ()
    spec = BenchSpec(
        device=chosen.device, target=chosen.target, cpu_workers=chosen.workers, gpus=gpus, gpu_memory_bytes=None,
        timeout_s=60.0, delegation="layout_only", precision="ieee", worker_preset={},
    )  # fmt: skip
    prepare.YIELDS = chosen.yields
    chosen.gpu_workers = chosen.gpu_workers or workers_for(spec)
    jobs = unique_candidates(chosen.count + chosen.apart)
    if not gpus:
        print(json.dumps(on_cpu(spec, jobs, chosen.signatures)), flush=True)
        return
    bench = GpuBench(spec, make_cases, workers_per_gpu=chosen.gpu_workers)
    bench.at_once = chosen.at_once or bench.at_once
    bench.program(jobs[0][0], Candidate.from_code(jobs[0][1])).run(make_cases(jobs[0][0], REQUEST)[0])
    for ending, part in (("-apart", jobs[: chosen.apart]), ("", jobs[chosen.apart :])):
        if part:
            found = on_gpu(bench, part, bool(ending), chosen.seconds, replace(PROTOCOL, method=chosen.method))
            result = {**found, "gpu_workers": chosen.gpu_workers, "at_once": bench.at_once, "timing": chosen.method,
                      "yields": chosen.yields}  # fmt: skip
            print(json.dumps(result), flush=True)
            if chosen.save:
                save(table(chosen.save + ending, result))
    bench.close()


def on_cpu(spec: BenchSpec, jobs: list[tuple[Task, str]], signatures: int) -> dict[str, Any]:
    """Record and compile; a recording is one candidate on one signature."""
    preparation = Preparation(spec, gpu_for(spec.target), make_cases)
    preparation.prepare(*_first(jobs[0]))
    seconds: Counter[str] = Counter()

    def one(job: tuple[Task, str]) -> list[str]:
        task, code = job
        statuses = []
        cases = list({case.signature: case for case in make_cases(task, REQUEST)}.values())[:signatures]
        for number, case in enumerate(cases):
            ready = preparation.prepare(task, Candidate.from_code(code), case, cases[number + 1 :])
            statuses.append(str(ready.status) if isinstance(ready, Stop) else "READY")
            seconds.update({} if isinstance(ready, Stop) else ready.seconds)
        return statuses

    began, used = time.perf_counter(), cpu_seconds()
    with ThreadPoolExecutor(2 * spec.cpu_workers) as pool:
        statuses = Counter(status for part in pool.map(one, jobs) for status in part)
    wall, used = time.perf_counter() - began, cpu_seconds() - used
    preparation.close()
    recordings = sum(statuses.values())
    return {
        "what": "record and compile", "candidates": len(jobs), "recordings": recordings, "seconds": round(wall, 2),
        "recordings_per_s": round(recordings / wall, 2), "cpu_ms_a_recording": round(used / recordings * 1e3),
        "statuses": statuses, **_about(spec, jobs),
        "mean_ms": {name: round(value / recordings * 1e3, 1) for name, value in seconds.items()},
    }  # fmt: skip


def on_gpu(
    bench: GpuBench, jobs: list[tuple[Task, str]], apart: bool, most_s: float, protocol: TimingProtocol = PROTOCOL
) -> dict[str, Any]:
    """Everything: five cases and a timing for each candidate. `apart` records and compiles them all first."""
    device, spec = bench.describe()["device"], bench.spec
    seconds: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    refused: list[str] = []

    def prepared(job: tuple[Task, str]) -> GpuProgram:
        program = bench.program(job[0], Candidate.from_code(job[1]))
        if apart:
            for case in program.cases(REQUEST):
                program.compile(case)
        return program

    def judged(program: GpuProgram) -> str:
        if time.perf_counter() > began + most_s:
            return LEFT
        try:
            return measured(program)
        except InfraError as fault:
            refused.append(f"{program.task.id}: INFRA {fault.message}"[:160])
            return "INFRA"

    def measured(program: GpuProgram) -> str:
        signatures = set()
        for case in program.cases(REQUEST):
            before = time.perf_counter()
            result = program.run(case)
            seconds["whole check"] += time.perf_counter() - before
            seconds.update({f"check: {name}": value for name, value in result.facts.get("stage_seconds", {}).items()})
            beside["cases"] += result.status is Status.PASSED and not result.facts.get("stage_seconds")
            if case.signature not in signatures:
                seconds.update(result.facts.get("prepare_seconds", {}))
                signatures.add(case.signature)
            if result.status is not Status.PASSED:
                refused.append(f"{program.task.id} {case.name}: {result.status} {result.reason}"[:160])
                return str(result.status)
        before = time.perf_counter()
        timing = program.time(protocol)
        seconds["timing, with waiting"] += time.perf_counter() - before
        seconds["timing: alone on the GPU"] += timing.facts.get("seconds", 0.0)
        seconds["timing: worker"] += timing.facts.get("worker_s", 0.0)
        seconds["timing: turn"] += timing.facts.get("turn_s", 0.0)
        seconds.update({f"timing: {name}": value for name, value in timing.facts.get("part_seconds", {}).items()})
        return str(timing.status)

    with ThreadPoolExecutor(bench.at_once) as pool:
        began = time.perf_counter()
        programs = list(pool.map(prepared, jobs))
        before = time.perf_counter() - began
        began, used, mine = time.perf_counter(), cpu_seconds(), time.process_time()
        with GpuUse() as gpu:
            statuses = Counter(pool.map(judged, programs))
        wall, used, mine = time.perf_counter() - began, cpu_seconds() - used, time.process_time() - mine
    del statuses[LEFT]
    done = sum(statuses.values())
    parts = {"prepared_per_s": round(len(jobs) / before, 2), "replayed_per_s": round(done / wall, 2)}
    return {
        "what": "record, compile, check five cases, time 10 + 100 runs", "device": device, "candidates": done,
        "seconds": round(wall, 2), **(parts if apart else {"candidates_per_s": round(done / wall, 2)}),
        "gpu_busy_percent": gpu.mean(), "cores_used": round(used / wall, 1),
        "parent_cpu_ms_a_candidate": round(mine / done * 1e3, 1),
        "cases_in_anothers_job": round(beside["cases"] / done, 2), "statuses": statuses, "refused": refused[:20],
        "mean_ms_a_candidate": {name: round(value / done * 1e3, 1) for name, value in seconds.items()},
        **_about(spec, jobs),
    }  # fmt: skip


def by_stage(parts: Mapping[str, float]) -> dict[str, str]:
    """`{"record": 135, "check: load": 5.2, …}` as `{"in all": "record 135", "check": "load 5.2, …"}`."""
    stages: dict[str, list[str]] = {}
    for name, figure in parts.items():
        stage, _, part = name.rpartition(": ")
        stages.setdefault(stage or "in all", []).append(f"{part} {figure:.{0 if figure >= 100 else 1}f}")
    return {stage: ", ".join(found) for stage, found in stages.items()}


def table(name: str, result: dict[str, Any]) -> Table:
    """What was measured, one figure a row; a candidate's milliseconds in a row for each stage that they belong to."""
    rows: list[list[Any]] = []
    for key, value in result.items():
        if key == "mean_ms_a_candidate":
            rows += [[f"ms a candidate, {stage}", parts] for stage, parts in by_stage(value).items()]
        else:
            rows.append([key.replace("_", " "), _shown(value)])
    return Table(name, ["what", "figure"], rows, " ".join(["python", *sys.argv]))


def _shown(value: Any) -> str | int | float | None:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return value  # type: ignore[no-any-return]


class GpuUse:
    """How many percent of the time the GPU ran something, as the driver counts it, while the context is open."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._watch: subprocess.Popen[str] | None = None

    def __enter__(self) -> GpuUse:
        query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        command = ["nvidia-smi", "--id=0", *query, "-lms", "250"]
        self._watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.terminate()
            said, _errors = self._watch.communicate()
            self._samples = [float(line) for line in said.split() if line.isdigit()]

    def mean(self) -> float | None:
        return round(fmean(self._samples), 1) if self._samples else None


def unique_candidates(count: int) -> list[tuple[Task, str]]:
    """Golden solutions over and over, each time with other kernel names."""
    tasks = {task.id: task for task in builtin_tasks("train")}
    golden = [(tasks[solution.task_id], solution.code) for solution in golden_solutions() if solution.task_id in tasks]

    def endless() -> Iterator[tuple[Task, str]]:
        number = 0
        while True:
            for task, code in golden:
                number += 1
                yield task, renamed(code, number)

    return [job for _, job in zip(range(count), endless(), strict=False)]


def renamed(code: str, number: int) -> str:
    """The same program with another name for each kernel."""
    for name in re.findall(r"@triton\.jit[^\n]*\n(?:@[^\n]*\n)*def (\w+)\(", code):
        code = re.sub(rf"\b{name}\b", f"{name}_{number}", code)
    return code


def cpu_seconds() -> float:
    """Processor time of this process and all below it, living and reaped: other work on the machine adds little."""
    parents, used = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        used[int(folder.name)] = sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            return sum(used.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")
        family |= more


def _first(job: tuple[Task, str]) -> tuple[Task, Candidate, Any]:
    task, code = job
    return task, Candidate.from_code(code), make_cases(task, REQUEST)[0]


def _about(spec: BenchSpec, jobs: list[tuple[Task, str]]) -> dict[str, Any]:
    return {
        "target": spec.target, "workers": spec.cpu_workers, "cores": len(os.sched_getaffinity(0)),
        "families": len({task.family for task, _ in jobs}), "levels": sorted({task.level for task, _ in jobs}),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }  # fmt: skip


if __name__ == "__main__":
    main()
