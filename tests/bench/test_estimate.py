"""The estimate orders programs as a roofline does, never beats the task's own roofline, and says what it is."""

import pytest
import torch

from tritonrl_core.bench.compile_request import CompiledKernel
from tritonrl_core.bench.estimate import LAUNCH_US, EagerWork, Work, estimate, microseconds, roofline_us, work_of
from tritonrl_core.bench.facts import resident
from tritonrl_core.bench.targets import gpu_for

H100, A100 = gpu_for("sm_90"), gpu_for("sm_80")


def launch(unique=1 << 24, total=None, programs=1000, flops=None, **needs):
    return Work(unique if total is None else total, unique, flops or {}, programs, **needs)


def us(*launches, gpu=H100):
    return estimate(launches, [Work(1, 1, {}, 1)], [torch.zeros(1)], gpu).candidate_us[0]


def test_more_work_takes_longer():
    base = us(launch())
    assert us(launch(unique=1 << 25)) > base
    assert us(launch(total=1 << 28)) > base
    assert us(launch(programs=10)) > base
    assert us(launch(flops={"fp32": 1e12})) > us(launch(flops={"tf32": 1e12})) > base
    assert us(launch(), launch()) == pytest.approx(2 * base)
    assert us(launch(resident=1, warps=1)) > base  # too few warps to keep memory busy
    assert us(launch(programs=133, resident=1, warps=32)) > us(launch(programs=132, resident=1, warps=32))
    assert us(launch(), gpu=A100) > base


def test_an_empty_launch_costs_its_overhead():
    assert microseconds([Work(0, 0, {}, 1)], H100) == pytest.approx(LAUNCH_US)


def test_nothing_beats_the_tasks_own_roofline():
    tensor = torch.zeros(1 << 22)
    timing = estimate([launch(unique=4)], [Work(1 << 26, 1 << 26, {}, 9999)], [tensor, tensor], H100)
    assert timing.candidate_us[0] == roofline_us([tensor, tensor], H100)
    assert roofline_us([tensor, tensor], H100) > 2 * tensor.nbytes / H100.dram_bandwidth * 1e6


def test_it_is_marked_as_an_estimate_that_earns_nothing():
    timing = estimate([launch()], [Work(1, 1, {}, 1)], [torch.zeros(1)], H100)
    assert (timing.clock, timing.estimated, timing.reward_allowed) == ("estimated", True, False)
    assert timing.speedup_low == timing.speedup == timing.speedup_high
    assert "not present" in timing.device


def test_eager_work_counts_operators_that_move_or_compute():
    x, w = torch.randn(64, 32), torch.randn(16, 32)
    with EagerWork() as watch:
        y = x.view(32, 64).view(64, 32).t().t() @ w.t()
        y = torch.relu(y + 1).transpose(0, 1)
        y.add_(1)
        torch.empty(5)
    kinds = [(item.bytes, dict(item.flops)) for item in watch.work]
    small = 64 * 16 * 4
    assert kinds == [
        (64 * 32 * 4 + 16 * 32 * 4 + small, {"fp32": 2 * 64 * 32 * 16}),
        (2 * small, {}), (2 * small, {}), (2 * small, {}),
    ]  # fmt: skip


def test_a_fused_candidate_is_estimated_faster_than_eager_and_a_wasteful_one_slower():
    x = torch.randn(1024, 1024)
    with EagerWork() as watch:
        torch.relu(x * 2 + 1)
    moved = [x, x]
    fused = estimate([launch(unique=8 << 20)], watch.work, moved, H100)
    wasteful = estimate([launch(unique=8 << 20, total=1 << 30, programs=4)], watch.work, moved, H100)
    assert fused.speedup > 2
    assert wasteful.speedup < 1


def kernel(**changes):
    return CompiledKernel(**{"name": "k", "binary": b"", "shared": 0, "num_warps": 4, "registers": 32, **changes})


@pytest.mark.parametrize(
    ("changes", "programs"),
    [
        ({}, 16),  # 2048 threads
        ({"registers": 255}, 2),  # 65,536 registers, in units of 256 a warp
        ({"shared": 100 << 10}, 2),  # 228 KiB
        ({"num_warps": 1}, 32),  # no more slots than that
        ({"registers": -1}, 8),  # 64 are taken where nobody knows
    ],
)
def test_residency_follows_from_what_the_binary_needs(changes, programs):
    assert resident(kernel(**changes), H100) == programs


def test_work_of_a_launch_is_what_was_counted_and_what_its_binary_needs():
    counted = {"bytes_read": 5, "bytes_written": 6, "unique_read": 3, "unique_written": 4, "flops": {"fp32": 2.0},
               "grid": [2, 3, 4]}  # fmt: skip
    work = work_of(counted, kernel(num_warps=8), H100)
    assert work == Work(11, 7, {"fp32": 2.0}, 24, warps=8, resident=8)
    assert work_of(counted, None, H100) == Work(11, 7, {"fp32": 2.0}, 24)
