"""Timing on a GPU: what is measured is the work, whatever the kernel does to look faster."""

import subprocess
import sys
from dataclasses import replace
from statistics import median

import pytest

from tritonrl_core.bench.replay.baselines import Baselines
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Candidate, Status, Task, TimingProtocol

pytestmark = pytest.mark.gpu

SOURCE = """
import torch
import torch.nn as nn
N = 1 << 24
class Model(nn.Module):
    def forward(self, x):
        return x * 2.0
def get_inputs():
    return [torch.randn(N)]
def get_init_inputs():
    return []
"""
HONEST = """
import torch
import torch.nn as nn
import triton
import triton.language as tl
@triton.jit
def double(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0, mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        n = x.numel()
        double[(triton.cdiv(n, 1024),)](x, out, n, BLOCK=1024)
        return out
"""
LAZY = HONEST.replace("    tl.store", """    first = tl.load(o_ptr + tl.program_id(0) * BLOCK)
    if (first == first) & (tl.abs(first) < 1000.0):
        return
    tl.store""")
"""Leaves out what is there already."""

PROTOCOLS = {
    "published": TimingProtocol("published", warmup=20, trials=100, trim=0.1),
    "adaptive": TimingProtocol("adaptive", warmup=20, trials=100, trim=0.1, ci=0.005),
    "simple": TimingProtocol("simple", warmup=3, trials=10),
}
ADAPTIVE = PROTOCOLS["adaptive"]


@pytest.fixture
def clock(gpu_bench):
    gpu_bench._baselines = Baselines(None)

    def time(code: str = HONEST, source: str = SOURCE, protocol: TimingProtocol = ADAPTIVE, **task: object):
        return gpu_bench.program(Task("t", 1, source, **task), Candidate.from_code(code)).time(protocol)

    return time


@pytest.mark.parametrize("method", PROTOCOLS)
def test_each_method_measures_both_sides_alike(clock, method):
    timing = clock(protocol=PROTOCOLS[method])
    assert (timing.status, timing.clock, timing.method) == (Status.PASSED, "events", method)
    assert 0.85 < timing.speedup < 1.2
    assert timing.speedup_low <= timing.speedup <= timing.speedup_high
    # 128 MiB moved: between 5 TB/s and 0.3 TB/s.
    assert 26 < median(timing.candidate_us) < 450
    assert timing.reward_allowed, timing.notes
    assert timing.facts["eager_wall_us"] > median(timing.baseline_us["eager"])
    if method == "published":
        assert (len(timing.candidate_us), timing.facts["warmup"]) == (100, 20)
    if method == "adaptive":
        assert 12 <= len(timing.candidate_us) <= 100
    if method != "simple":
        assert timing.facts["captures"] == 3
        assert not [note for note in timing.notes if "uncaptured" in note]


def test_a_kernel_that_skips_what_is_done_gains_nothing(clock):
    honest, lazy = clock(HONEST), clock(LAZY)
    assert lazy.status is Status.PASSED, lazy.reason
    assert median(lazy.candidate_us) > 0.95 * median(honest.candidate_us)


def test_the_cache_is_cold(clock):
    """16 MiB would come out of the L2 cache in far less time than out of memory."""
    source = SOURCE.replace("1 << 24", "1 << 22")
    timing = clock(source=source)
    assert median(timing.candidate_us) > timing.facts["floor_us"]


def test_short_work_is_captured_several_times_at_each_place(clock):
    timing = clock(source=SOURCE.replace("1 << 24", "1 << 20"))
    assert (timing.facts["captures"], timing.facts["graphs"]) == (3, 12)
    assert clock().facts["graphs"] == 3


BURN = """
import torch
a = torch.randn(4096, 4096, device="cuda")
rounds = 0
while True:
    for _ in range(20):
        a = torch.tanh(a @ a)
    torch.cuda.synchronize()
    rounds += 1
    if rounds == 5:  # libraries are loaded, and it goes on without a break
        print("ready", flush=True)
"""


def test_beside_a_process_at_work_short_kernels_are_not_measured(clock):
    source = SOURCE.replace("1 << 24", "1 << 20")
    quiet = clock(source=source)
    other = subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(InfraError, match="could not measure"):
            clock(source=source)
    finally:
        other.kill()
        other.wait()
    assert median(clock(source=source).candidate_us) == pytest.approx(median(quiet.candidate_us), rel=0.1)


UNCAPTURABLE = {
    "reads a value": "return x * 2.0 if x.sum().item() > 0 else 2.0 * x",
    "waits": "torch.cuda.synchronize(); return x * 2.0",
}


@pytest.mark.parametrize("kind", UNCAPTURABLE)
def test_what_cannot_be_captured_is_timed_uncaptured_and_says_so(clock, kind):
    timing = clock(source=SOURCE.replace("return x * 2.0", UNCAPTURABLE[kind]))
    assert timing.status is Status.PASSED, timing.reason
    assert any("`eager` was timed uncaptured" in note for note in timing.notes), timing.notes
    for _ in range(3):  # on whichever worker: a capture that failed leaves nothing behind
        assert clock().status is Status.PASSED


def test_a_known_baseline_is_only_looked_at_again(clock):
    first, second = clock(), clock()
    assert "drift" not in first.facts
    assert second.facts["drift"] == 0 or any("drifted" in note for note in second.notes)
    if not second.facts["drift"]:
        assert second.baseline_us == first.baseline_us
    assert second.facts["eager_wall_us"] == first.facts["eager_wall_us"]


def test_a_baseline_that_no_longer_holds_is_measured_again(clock, gpu_bench):
    first = clock()
    known = gpu_bench._baselines._known
    for entry in known.values():
        entry["samples"]["eager"] = [[1.5 * us for us in lane] for lane in entry["samples"]["eager"]]
    again = clock()
    assert again.facts["drift"] < -0.2
    assert again.speedup == pytest.approx(first.speedup, rel=0.1)


IN_PLACE = """
import torch
import torch.nn as nn
N = 1 << 20
class Model(nn.Module):
    def forward(self, x):
        return x.mul_(2.0)
def get_inputs():
    return [torch.randn(N)]
def get_init_inputs():
    return []
"""


def test_what_a_kernel_changes_in_place_is_put_back_before_each_run(clock):
    code = HONEST.replace("out = torch.empty_like(x)", "out = x")
    timing = clock(code, IN_PLACE)
    assert timing.status is Status.PASSED, timing.reason


def test_packed_weights_stay_outside_the_clock(clock):
    source = """
import torch
import torch.nn as nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4096, 1024))
    def forward(self, x):
        return x @ self.w
def get_inputs():
    return [torch.randn(16, 4096)]
def get_init_inputs():
    return []
"""
    code = """
import torch
import torch.nn as nn
import triton
import triton.language as tl
@triton.jit
def product(a, b, o, K, N, B: tl.constexpr):
    m = tl.arange(0, 16)
    n = tl.program_id(0) * 32 + tl.arange(0, 32)
    acc = tl.zeros((16, 32), tl.float32)
    for k in range(0, K, B):
        j = k + tl.arange(0, B)
        left = tl.load(a + m[:, None] * K + j[None, :])
        right = tl.load(b + n[None, :] * K + j[:, None])
        acc += tl.dot(left, right, input_precision="ieee")
    tl.store(o + m[:, None] * N + n[None, :], acc)
class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4096, 1024))
        self.packed = nn.Parameter(self.w.detach().t().contiguous())
    def forward(self, x):
        out = torch.empty(16, 1024, device=x.device)
        product[(32,)](x, self.packed, out, 4096, 1024, B=64)
        return out
"""
    from tritonrl_core.types import Policy

    timed = clock(code, source)
    packed = clock(code, source, policy=Policy(packed_weights=True))
    assert (timed.status, packed.status) == (Status.PASSED, Status.PASSED), (timed.reason, packed.reason)
    assert median(packed.candidate_us) < median(timed.candidate_us)


def test_compiled_baseline_and_the_best_of_both(clock):
    timing = clock(protocol=replace(ADAPTIVE, baselines=("eager", "compiled")))
    assert set(timing.speedups) == {"eager", "compiled", "best"}
    assert timing.speedups["best"][0] == min(timing.speedups["eager"][0], timing.speedups["compiled"][0])
