"""A lost worker costs nobody a verdict: recorders, compilers and replay workers are killed while candidates are judged.

On a GPU also candidates that break it, beside others that do not: each verdict is what it would have been alone.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tritonrl_core.bench.prepare import Preparation, Ready
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.errors import InfraError
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, InputCase, Status, Task, TimingProtocol

HEAD = "import torch\nimport torch.nn as nn\nimport triton\nimport triton.language as tl\n"
SOURCE = """
import torch
import torch.nn as nn
class Model(nn.Module):
    def forward(self, x):
        return x * 2.0
def get_inputs():
    return [torch.randn(128, 100)]
def get_init_inputs():
    return []
"""
GOOD = HEAD + """
@triton.jit
def double(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0, mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        n = x.numel()
        double[(triton.cdiv(n, 256),)](x, out, n, BLOCK=256)
        return out
"""
WRONG = GOOD.replace("* 2.0, mask", "* 2.5, mask")
TASK = Task(id="double", level=1, source=SOURCE)


def numbered(code: str, number: int) -> Candidate:
    """The same candidate under another kernel name, so that nothing of it is known yet."""
    return Candidate.from_code(code.replace("double", f"double_{number}"))


def cases(task: Task, request: CaseRequest) -> list[InputCase]:
    return [InputCase(f"case {n}", seed=request.seed + n) for n in range(max(1, request.count))]


@pytest.fixture(scope="module")
def preparation() -> Iterator[Preparation]:
    spec = BenchSpec("cpu", "sm_90", 2, (), None, 30.0, "layout_only", "ieee", {})
    made = Preparation(spec, gpu_for("sm_90"), cases)
    made.spot_checks = 0.0
    yield made
    made.close()


def below(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    shown = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in shown.stdout.split()]


@pytest.mark.parametrize("which", ["recorder", "compiler"])
def test_a_killed_worker_costs_nobody_a_plan(preparation, which):
    server = (preparation._recordings if which == "recorder" else preparation._binaries)._server
    first = cases(TASK, CaseRequest())[0]
    assert isinstance(preparation.prepare(TASK, numbered(GOOD, len(which)), first), Ready)
    done = threading.Event()
    killed = []

    def kill() -> None:
        while not done.is_set() and len(killed) < 3:
            time.sleep(0.3)
            for pid in below(server._warm._process.pid)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(4) as threads:
            jobs = [threads.submit(preparation.prepare, TASK, numbered(GOOD, 5000 + n), first) for n in range(12)]
            found = [outcome(job.result) for job in jobs]
    finally:
        done.set()
        killer.join()
    assert killed
    # The same job may lose its worker twice when we kill on purpose; then it is our fault, never the candidate's.
    assert {type(one) for one in found} <= {Ready, InfraError}
    assert sum(isinstance(one, Ready) for one in found) >= len(found) - 1


def outcome(attempt):
    try:
        return attempt()
    except InfraError as error:
        return error


ENDLESS = GOOD.replace(
    "    tl.store", "    while tl.load(o_ptr) != 12345.0:\n        tl.debug_barrier()\n    tl.store"
)
ILLEGAL = GOOD.replace("o_ptr + i, tl.load", "o_ptr + i.to(tl.int64) * 100000007, tl.load")
MISALIGNED = GOOD.replace(
    "    tl.store(o_ptr + i,", "    odd = (o_ptr.to(tl.pointer_type(tl.uint8), bitcast=True) + 2)\n"
    "    tl.store(odd.to(tl.pointer_type(tl.float32), bitcast=True) + i,",
)  # fmt: skip
GREEDY = GOOD.replace("n = x.numel()", "big = torch.zeros(1 << 36, device=x.device)\n        n = x.numel()").replace(
    "return out", "double[(1,)](x, big, n, BLOCK=256)\n        return out"
)
FAULTS = {
    "an illegal address": (ILLEGAL, Status.RUNTIME_ERROR),
    "a misaligned access": (MISALIGNED, Status.RUNTIME_ERROR),
    "an endless kernel": (ENDLESS, Status.TIMEOUT),
    "more memory than it may have": (GREEDY, Status.RUNTIME_ERROR),
}
OURS = Task(id="too large", level=1, source=SOURCE.replace("return x * 2.0", """
        if x.device.type == "cuda":
            torch.zeros(1 << 40, device=x.device)
        return x * 2.0"""))  # fmt: skip


@pytest.fixture
def crowd(gpu_bench):
    """Judge ten others at once while something else happens; they must come out as they would alone."""

    def run(number: int, happens) -> object:
        def judged(place: int) -> Status:
            code = WRONG if place % 3 == 0 else GOOD
            program = gpu_bench.program(TASK, numbered(code, 100 * number + place))
            statuses = {program.run(case).status for case in cases(TASK, CaseRequest(count=3))}
            return statuses.pop() if len(statuses) == 1 else Status.INFRA

        with ThreadPoolExecutor(12) as threads:
            others = [threads.submit(judged, place) for place in range(5)]
            event = threads.submit(happens)
            others += [threads.submit(judged, place) for place in range(5, 10)]
            found = [other.result() for other in others]
        assert found == [Status.WRONG if place % 3 == 0 else Status.PASSED for place in range(10)]
        return event.result()

    return run


@pytest.mark.gpu
@pytest.mark.parametrize("kind", FAULTS)
def test_a_candidate_that_breaks_the_gpu_is_alone_with_it(crowd, gpu_bench, kind):
    code, status = FAULTS[kind]
    program = gpu_bench.program(TASK, Candidate.from_code(code))
    result = crowd(list(FAULTS).index(kind), lambda: program.run(cases(TASK, CaseRequest())[0]))
    assert result.status is status, result.reason


@pytest.mark.gpu
def test_memory_that_the_reference_lacks_is_our_fault(crowd, gpu_bench):
    program = gpu_bench.program(OURS, Candidate.from_code(GOOD))
    found = crowd(20, lambda: outcome(lambda: program.run(cases(OURS, CaseRequest())[0])))
    assert isinstance(found, InfraError)
    assert "memory" in found.message


@pytest.mark.gpu
def test_replay_workers_that_are_killed_cost_nobody_a_verdict(crowd, gpu_bench):
    def kill() -> int:
        for _ in range(4):
            time.sleep(0.4)
            slot = random.choice(gpu_bench._pool._all)
            os.kill(slot.worker()._process.pid, signal.SIGKILL)
        return 4

    assert crowd(30, kill) == 4


@pytest.mark.gpu
def test_the_compiled_baseline_is_measured_beside_the_eager_one(gpu_bench):
    source = SOURCE.replace("return x * 2.0", "return torch.exp(x * 2.0) + x").replace("128, 100", "2048, 2048")
    code = GOOD.replace("tl.load(x_ptr + i, mask=i < n) * 2.0", "v").replace(
        "    tl.store", "    x = tl.load(x_ptr + i, mask=i < n)\n    v = tl.exp(x * 2.0) + x\n    tl.store"
    )
    program = gpu_bench.program(Task(id="fused", level=2, source=source), Candidate.from_code(code))
    assert program.run(cases(TASK, CaseRequest())[0]).status is Status.PASSED
    timing = program.time(TimingProtocol(method="published", warmup=5, trials=30, baselines=("eager", "compiled")))
    assert {"eager", "compiled"} <= set(timing.baseline_us), timing.notes
    eager, compiled = (sorted(timing.baseline_us[name])[15] for name in ("eager", "compiled"))
    assert compiled < eager  # one pass over memory instead of three
    assert timing.speedups["compiled"][0] < timing.speedups["eager"][0]
