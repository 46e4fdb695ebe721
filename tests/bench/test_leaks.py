"""Nothing is left behind: by a thousand mixed candidates, and by a verifier that is killed."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench_samples import GOOD, REFERENCE

from tritonrl_core.errors import InfraError
from tritonrl_core.types import Candidate, CaseRequest, Status, Task


def forward(body):
    return GOOD.replace("        y = torch.empty_like(x)\n", f"        {body}\n        y = torch.empty_like(x)\n")


MIX = {
    GOOD: Status.PASSED,
    GOOD.replace("0.0)", "1.0)"): Status.WRONG,
    forward("raise ValueError"): Status.RUNTIME_ERROR,
    forward("import os; os._exit(0)"): Status.RUNTIME_ERROR,
    forward("import os; os.kill(os.getpid(), 11)"): Status.RUNTIME_ERROR,
    forward("a = bytearray(8 << 30)"): Status.RUNTIME_ERROR,
    forward("import os, time\n        if os.fork() == 0:\n            os.setsid(); time.sleep(99)"): Status.PASSED,
    forward("f = [open('/dev/null') for _ in range(200)]"): Status.PASSED,
    forward("import os; f = [os.memfd_create('left') for _ in range(50)]"): Status.PASSED,
    "import no_such_package": Status.BUILD_ERROR,
    "": Status.REJECTED,
}
"""Candidates of every kind that ends by itself, with the status of each."""


def processes(server):
    below, found = {server._warm._process.pid}, []
    for name in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        try:
            parent = int(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if int(name) in below or parent in below:
            below.add(int(name))
            found.append(int(name))
    return found


def held(server):
    maps = Path("/proc/self/maps").read_text()
    return len(os.listdir("/proc/self/fd")), maps.count("memfd:"), len(processes(server))


def run(bench, count):
    task = Task(id="t", level=1, source=REFERENCE)
    kinds = list(MIX)

    def judge(number):
        program = bench.program(task, Candidate.from_code(f"{kinds[number % len(kinds)]}\n# {number}"))
        return program.run(program.cases(CaseRequest())[0]).status

    with ThreadPoolExecutor(4) as pool:
        return Counter(pool.map(judge, range(count)))


def expected(count):
    statuses = list(MIX.values())
    return Counter(statuses[number % len(statuses)] for number in range(count))


def test_a_mix_of_candidates_leaves_nothing(bench):
    run(bench, 11)
    gc.collect()  # of what earlier tests left behind
    before = held(bench._resources.server)
    assert run(bench, 33) == expected(33)
    assert held(bench._resources.server) == before


@pytest.mark.slow
def test_a_thousand_candidates_leave_nothing(bench):
    run(bench, 22)
    gc.collect()  # of what earlier tests left behind
    before = held(bench._resources.server)
    assert run(bench, 1000) == expected(1000)
    assert held(bench._resources.server) == before


@pytest.mark.slow
def test_workers_that_are_killed_all_the_time_lose_no_candidate(bench):
    """Candidates that kill their dispatcher or the warm process beside honest ones: each gets exactly one outcome."""
    task = Task(id="t", level=1, source=REFERENCE)
    murder = forward("import os; os.kill(os.getppid(), 9); import time; time.sleep(30)")

    def judge(number):
        code = murder if number % 10 == 0 else GOOD
        program = bench.program(task, Candidate.from_code(f"{code}\n# {number}"))
        try:
            return program.run(program.cases(CaseRequest())[0]).status
        except InfraError:
            return Status.INFRA

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(judge, range(200))) == {Status.PASSED: 180, Status.INFRA: 20}
    server, deadline = bench._resources.server, time.monotonic() + 60
    while len(processes(server)) > 3 and time.monotonic() < deadline:
        time.sleep(0.1)  # the warm process looks for the dead once a second
    assert len(processes(server)) <= 3


def test_workers_end_with_a_parent_that_is_killed():
    code = f"""
import os, sys, time
sys.path.append({str(Path(__file__).parent)!r})
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import ForkServer, WorkerKind
from tritonrl_core.types import Limits
server = ForkServer(WorkerKind("interpret", "forkserver_entry"), workers=1)
server.run([wire.memfd("order", b"echo a")], Limits())
print(server._warm._process.pid, flush=True)
server.run([wire.memfd("order", b"sleep 100")], Limits(wall_s=200))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        warm = int(parent.stdout.readline())
        group = [int(name) for name in os.listdir("/proc") if name.isdigit() and _group(name) == warm]
        assert len(group) >= 2
        time.sleep(0.3)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(_running(pid) for pid in group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in group if _running(pid)]


def _stat(pid):
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _group(pid):
    stat = _stat(pid)
    return int(stat[2]) if stat else None


def _running(pid):
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"
