"""Verifications a second on 1, 2 and 4 GPUs, against one, and where the cores stop to suffice.

    python benchmarks/fleet.py --shapes 1x16,2x32,4x64,4x16 --seconds 25      # GPUs x cores, one after the other
    python benchmarks/fleet.py --shapes 1x16,2x32,1x16+1x16                   # and two verifiers that share nothing
    python benchmarks/fleet.py --device cpu --shapes 1x1,2x2 --seconds 20     # hosts x cores, where there is no GPU
    python benchmarks/fleet.py --shapes 1x16,2x32@ray    # by the plugin ray, on a cluster of this machine alone

A verification is what `verify_throughput.py` counts: record, compile, check five cases of two signatures, time 10 + 100
runs. Each shape is measured in a process of its own, on the cores and GPUs that it names and no others, with an empty
cache; a shape with a plus in several at the same time, which tells what the machine takes from what the fleet takes. A
shape's cores are those that the process may use, from the first. Results are kept as they come, for
`benchmarks/tables.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean
from typing import Any

from gpu_count import possible
from tables import Table, save
from verify_throughput import PROTOCOL, REQUEST, cpu_seconds, unique_candidates

from tritonrl_core.bench.host_process import HostProcess
from tritonrl_core.bench.resolve import visible_gpus
from tritonrl_core.errors import InfraError
from tritonrl_core.plugin import PluginContext
from tritonrl_core.session.benches import Benches
from tritonrl_core.types import Bench, BenchSpec, Candidate, Program, Status, TakesMany

COLUMNS = (
    "GPUs", "cores", "verifiers", "of", "verifications/s", "of linear", "cores used", "CPU ms each, verifier's process",
    "not PASSED",
)  # fmt: skip
SUMS = ("gpus", "cores", "rate", "with_the_end", "cores_used")
LEFT = "left"
HOSTS, RAY = "processes", "ray"
WARM = 101
"""Candidates before the clock starts: as many as there are tasks, so that each has been seen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--shapes", default="1x16,2x32,4x64,4x16", help="the one to compare with first")
    parser.add_argument("--seconds", type=float, default=25.0, help="of measuring, for each shape")
    parser.add_argument("--limit-s", type=float, default=180.0, help="for one shape, its start among it")
    parser.add_argument("--one", default="", help="measure this shape in this process and print JSON")
    parser.add_argument("--save", default="fleet")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measured(Shape.of(chosen.one), chosen.device, chosen.seconds)), flush=True)
        return
    rows: list[dict[str, Any]] = []
    gpus = len(visible_gpus()) if chosen.device == "cuda" else sys.maxsize
    left = possible({text: gpus_of(text) for text in chosen.shapes.split(",")}, gpus)
    for shape in list(left):
        found = _in_processes(shape, chosen.device, chosen.seconds, chosen.limit_s)
        if found:
            rows.append(found)
            left.remove(shape)
            print(json.dumps(found), flush=True)
            save(table(rows, chosen.save, chosen.seconds, left))
    print(table(rows, chosen.save, chosen.seconds, left).markdown)


def gpus_of(shape: str) -> int:
    """How many GPUs the verifiers of a shape have together."""
    return sum(Shape.of(part).gpus for part in shape.split("+"))


@dataclass(frozen=True)
class Shape:
    """What one verifier has: `2x32` two GPUs and 32 cores, `2x32@ray` the same as a Ray cluster."""

    gpus: int
    cores: int
    by: str

    @staticmethod
    def of(text: str) -> Shape:
        size, _, by = text.partition("@")
        gpus, _, cores = size.partition("x")
        return Shape(int(gpus), int(cores), by or HOSTS)

    def __str__(self) -> str:
        return f"{self.gpus}x{self.cores}" + (f"@{self.by}" if self.by != HOSTS else "")


def _in_processes(text: str, device: str, seconds: float, limit_s: float) -> dict[str, Any] | None:
    """What the verifiers of a shape measure, added up; None where one of them failed."""
    shapes = [Shape.of(part) for part in text.split("+")]
    first_core = accumulate((shape.cores for shape in shapes), initial=0)
    first_gpu = accumulate((shape.gpus for shape in shapes), initial=0)
    with ThreadPoolExecutor(len(shapes)) as pool, tempfile.TemporaryDirectory() as caches:

        def one(shape: Shape, core: int, gpu: int) -> dict[str, Any] | None:
            return _in_a_process(shape, core, gpu, f"{caches}/{core}", device, seconds, limit_s)

        rows = [row for row in pool.map(one, shapes, first_core, first_gpu) if row is not None]
    return added(rows) if len(rows) == len(shapes) else None


def added(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Verifiers that shared nothing as one row."""
    total = {key: round(sum(row[key] for row in rows), 2) for key in SUMS}
    mean = round(fmean(row["parent_cpu_ms"] for row in rows), 1)
    statuses = sum((Counter(row["statuses"]) for row in rows), Counter())
    return {**total, "verifiers": len(rows), "by": rows[0]["by"], "parent_cpu_ms": mean, "statuses": dict(statuses)}


def _in_a_process(
    shape: Shape, core: int, gpu: int, cache: str, device: str, seconds: float, limit_s: float
) -> dict[str, Any] | None:
    mine = sorted(os.sched_getaffinity(0))[core : core + shape.cores]
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7").split(",")[gpu : gpu + shape.gpus]
    command = ["taskset", "-c", ",".join(map(str, mine)), sys.executable, __file__, "--one", str(shape)]
    command += ["--device", device, "--seconds", str(seconds)]
    hidden = {"CUDA_VISIBLE_DEVICES": ",".join(seen) if device == "cuda" else "", "XDG_CACHE_HOME": cache}
    try:
        done = subprocess.run(
            command, env={**os.environ, **hidden}, stdout=subprocess.PIPE, timeout=limit_s, text=True, check=True
        )
    except subprocess.SubprocessError as error:
        print(f"{shape}: {error}", file=sys.stderr, flush=True)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(shape: Shape, device: str, seconds: float) -> dict[str, Any]:
    """Judge unique candidates for so long; what was begun is finished and counted, with the time that it took."""
    gpus, cores = shape.gpus, shape.cores
    bench = opened_by_ray(device, gpus, cores) if shape.by == RAY else opened(device, gpus, cores)
    at_once = bench.at_once if isinstance(bench, TakesMany) else 2 * cores  # as in a verifier
    first = max(at_once, WARM)
    jobs = unique_candidates(round(60 * gpus * seconds) + first + at_once)
    warm, jobs = jobs[:first], jobs[first:]
    ends: list[float] = []

    def one(job: tuple[Any, str]) -> str:
        if time.perf_counter() > stop:
            return LEFT
        status = judged(bench.program(job[0], Candidate.from_code(job[1])))
        if status != "INFRA":
            ends.append(time.perf_counter())
        return status

    with ThreadPoolExecutor(at_once) as pool:
        stop = float("inf")
        Counter(pool.map(one, warm))
        ends.clear()
        began, used, mine = time.perf_counter(), cpu_seconds(), time.process_time()
        stop = began + seconds
        statuses = Counter(pool.map(one, jobs))
        wall, used, mine = max(ends) - began, cpu_seconds() - used, time.process_time() - mine
    bench.close()
    done = len(ends)
    # The rate while all threads had work: those that end after `stop` have fewer and fewer beside them.
    before = sum(end <= stop for end in ends)
    del statuses[LEFT]
    return {
        "gpus": gpus, "cores": cores, "by": shape.by,
        "rate": round(before / seconds, 2), "with_the_end": round(done / wall, 2), "cores_used": round(used / wall, 1),
        "parent_cpu_ms": round(mine / done * 1e3, 1), "statuses": dict(statuses),
    }  # fmt: skip


def opened(device: str, gpus: int, cores: int) -> Bench:
    """The bench as a verifier opens it; without a GPU as many host processes as there would be GPUs."""
    spec = BenchSpec(
        device=device, target="sm_90", cpu_workers=cores, gpus=tuple(range(gpus)) if device == "cuda" else (),
        gpu_memory_bytes=None, timeout_s=60.0, delegation="layout_only", precision="ieee", worker_preset={},
    )  # fmt: skip
    if device == "cuda" or gpus == 1:
        return Benches().here(spec)
    each = replace(spec, cpu_workers=max(1, cores // gpus))
    return Benches().over(spec, [HostProcess(each) for _ in range(gpus)], 2 * cores, patience_s=60)


def opened_by_ray(device: str, gpus: int, cores: int) -> Bench:
    """The bench as the plugin ray opens it on a cluster of one node: with GPUs, preparers beside the hosts."""
    import ray
    from tritonrl_plugin_ray import RayPlugin

    ray.init(address="local", num_cpus=cores, num_gpus=gpus if device == "cuda" else 0, log_to_driver=False)
    spec = BenchSpec(
        device=device, target="sm_90", cpu_workers=cores, gpus=(), gpu_memory_bytes=None, timeout_s=60.0,
        delegation="layout_only", precision="ieee", worker_preset={},
    )  # fmt: skip
    cpus = 7 if device == "cuda" else max(1, cores // gpus)
    plugin = RayPlugin(RayPlugin.Options(address="local", cpus=cpus), PluginContext(benches=Benches()))
    bench = plugin.open_bench(spec)
    assert bench is not None
    return bench


def judged(program: Program) -> str:
    """The status of one verification."""
    try:
        for case in program.cases(REQUEST):
            result = program.run(case)
            if result.status is not Status.PASSED:
                return str(result.status)
        return str(program.time(PROTOCOL).status)
    except InfraError as fault:
        print(f"INFRA {fault.message}"[:200], file=sys.stderr, flush=True)
        return "INFRA"


def table(rows: list[dict[str, Any]], name: str, seconds: float, left: Sequence[str] = ()) -> Table:
    """One row a shape; the share of linear is of the first shape's rate for each GPU. `left` are shapes that failed or
    were not reached."""
    cells: list[list[str | int | float | None]] = []
    for row in rows:
        linear = row["gpus"] * rows[0]["rate"] / rows[0]["gpus"]
        odd = sum(count for status, count in row["statuses"].items() if status != "PASSED")
        share = round(row["rate"] / linear, 2)
        cells.append(
            [row["gpus"], row["cores"], row["verifiers"], row["by"], row["rate"], share, row["cores_used"],
             row["parent_cpu_ms"], odd]
        )  # fmt: skip
    notes = [
        f"{seconds:g} s for each shape, after {WARM} candidates or more; "
        "the first row is what others are compared with",
        *([f"Not measured: {', '.join(left)}"] if left else []),
    ]
    return Table(name, COLUMNS, cells, " ".join(["python", *sys.argv]), notes)


if __name__ == "__main__":
    main()
