"""What the sandbox adds to a job over the base, in one warm process with torch and Triton loaded.

    python benchmarks/sandbox_cost.py [--rounds 100]     # writes the table into docs/sandbox.md
    python benchmarks/sandbox_cost.py --print

The ways take turns, so that a busy machine is busy for all of them; what counts is the difference between medians of
one run. CPU time (of parent and child) hardly depends on what else runs. A job returns at once: this is the cost of
confining, not of work.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tritonrl_plugin_sandbox import SandboxPlugin, prepare
from tritonrl_plugin_sandbox.host import Host

from tritonrl_core.base.sandbox_exec import run_forked
from tritonrl_core.types import Limits, SandboxJob, SandboxResult

PAGE = Path(__file__).resolve().parent.parent / "docs" / "sandbox.md"
BEGIN, END = "<!-- cost -->", "<!-- end of cost -->"
AS_IN_A_WORKER = {"OMP_NUM_THREADS": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

Way = Callable[[SandboxJob], SandboxResult]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--print", action="store_true", help="print the table, write nothing")
    chosen = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in AS_IN_A_WORKER.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **AS_IN_A_WORKER})
    text = table(measure(chosen.rounds), chosen.rounds)
    print(text)
    if not chosen.print:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


@dataclass
class Times:
    """Milliseconds of each job: on the clock, and of CPU."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(rounds: int) -> dict[str, Times]:
    """What each job took, by way: the base and each tier that this host can give."""
    import torch
    import triton  # noqa: F401 - to have what a worker has

    torch.set_num_threads(1)
    host = prepare.probe(prepare.software())
    ways: dict[str, Way] = {"base": run_forked}
    for name, found in {"A": host, "B": replace(host, namespaces=0)}.items():
        if found.tier == name:
            ways[name] = tier(found)
    gc.collect()
    gc.freeze()
    job = SandboxJob(lambda: b"done", Limits(memory_bytes=1 << 30), "record")
    times = {name: Times() for name in ways}
    for way in ways.values():
        way(job)  # prepares
    for _ in range(rounds):
        for name, way in ways.items():
            began, busy = time.perf_counter(), cpu_seconds()
            result = way(job)
            times[name].wall.append(1000 * (time.perf_counter() - began))
            times[name].cpu.append(1000 * (cpu_seconds() - busy))
            if result.outcome != "ok":
                sys.exit(f"{name}: {result}")
    return times


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def tier(host: Host) -> Way:
    plugin = SandboxPlugin()
    plugin._prepared = os.getpid(), prepare.prepare(prepare.Demand(), host)
    return plugin.sandbox_exec


def table(times: Mapping[str, Times], rounds: int) -> str:
    base, base_cpu = statistics.median(times["base"].wall), statistics.mean(times["base"].cpu)
    rows = ["| way | median, ms | over the base, ms | CPU, ms | over the base, ms |", "| --- |" + " --- |" * 4]
    for name, taken in times.items():
        middle, cpu = statistics.median(taken.wall), statistics.mean(taken.cpu)
        rows.append(f"| {name} | {middle:.1f} | {middle - base:+.1f} | {cpu:.1f} | {cpu - base_cpu:+.1f} |")
    load = os.getloadavg()[0]
    about = (
        f"{rounds} rounds, {os.cpu_count()} cores with a load of {load:.1f}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {datetime.now(UTC).date().isoformat()}."
    )
    return "\n".join([about, "", *rows])


if __name__ == "__main__":
    main()
