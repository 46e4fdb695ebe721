"""The estimate orders programs as a roofline does, never beats the task's own roofline, and says what it is."""

import pytest
import torch

from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.bench.timing.eager import EagerWork
from tritonrl_core.bench.timing.estimate import LAUNCH_US, NEXT_US, Work, estimate, microseconds, roofline_us, work_of
from tritonrl_core.bench.timing.facts import resident

H100, A100 = gpu_for("sm_90"), gpu_for("sm_80")


def launch(unique=1 << 24, total=None, programs=1000, flops=None, **needs):
    return Work(unique if total is None else total, unique, flops or {}, programs, **needs)


def us(*launches, gpu=H100):
    return estimate(launches, [Work(1, 1, {}, 1)], [torch.zeros(1)], gpu).candidate_us[0]


def test_more_work_takes_longer():
    base = us(launch())
    assert us(launch(unique=1 << 25)) > base
    assert us(launch(total=1 << 28)) > base
    assert us(launch(moved=1 << 28)) == us(launch(total=1 << 28))  # whole sectors are what is paid for
    assert us(launch(fresh=0)) < base  # it lies in the cache
    assert us(launch(flops={"fp32": 1e12})) > us(launch(flops={"tf32": 1e12})) > base
    assert us(launch(elements=1e9)) > base
    assert us(launch(rounds=1000 * 50.0)) > us(launch(rounds=1000 * 10.0)) > base
    assert us(launch(), launch()) == pytest.approx(2 * base - LAUNCH_US + NEXT_US)
    assert us(launch(), gpu=A100) > base


def test_what_keeps_multiprocessors_from_their_arithmetic():
    def product(**needs):
        return us(launch(flops={"fp32": 1e10}, tile=4096.0, **needs))

    base = product(programs=132)
    assert product(programs=16) > 2 * base  # the others have nothing to do
    assert product(programs=133, resident=1) > 1.5 * base  # one more than fit: a second round for one
    assert product(programs=132, warps=1) > base  # three of four schedulers idle
    assert product(programs=132, warps=16) > base  # a smaller share of the tile: more reads for each multiplication
    assert product(programs=132, spill_bytes=256, rounds=132 * 100.0) > product(programs=132, rounds=132 * 100.0)


def test_an_empty_launch_costs_its_overhead():
    assert microseconds([Work(0, 0, {}, 1, rounds=0.0)], H100) == pytest.approx(LAUNCH_US)
    assert microseconds([], H100) == 0.0


def test_nothing_beats_the_tasks_own_roofline():
    tensor = torch.zeros(1 << 22)
    timing = estimate([launch(unique=4)], [Work(1 << 26, 1 << 26, {}, 9999)], [tensor, tensor], H100)
    assert timing.candidate_us[0] == roofline_us([tensor, tensor], H100)
    assert roofline_us([tensor, tensor], H100) > 2 * tensor.nbytes / H100.dram_bandwidth * 1e6


def test_it_is_marked_as_an_estimate_and_as_uncertain_as_estimates_were():
    timing = estimate([launch()], [Work(1, 1, {}, 1)], [torch.zeros(1)], H100)
    assert (timing.clock, timing.estimated, timing.reward_allowed) == ("estimated", True, False)
    assert timing.speedup_high / timing.speedup == pytest.approx(timing.speedup / timing.speedup_low)
    assert timing.speedup_high > 1.5 * timing.speedup
    assert 0.2 < timing.facts["candidate_half_width"] < 1
    assert "not present" in timing.device


def test_only_families_that_are_ranked_as_by_a_clock_may_be_rewarded():
    def allowed(family):
        return estimate([launch()], [Work(1, 1, {}, 1)], [torch.zeros(1)], H100, family).reward_allowed

    assert allowed("matmul")
    assert not allowed("reduction")  # ranked badly among tasks
    assert not allowed("loss")  # ranked badly within a task
    assert not allowed("sorting")  # never measured


def test_a_fused_candidate_is_estimated_faster_than_eager_and_a_wasteful_one_slower():
    x = torch.randn(1024, 1024)
    with EagerWork() as watch:
        torch.relu(x * 2 + 1)
    moved = [x, x]
    fused = estimate([launch(unique=8 << 20)], watch.work, moved, H100)
    wasteful = estimate([launch(unique=8 << 20, total=1 << 30, programs=4)], watch.work, moved, H100)
    assert fused.speedup > 1.5
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
               "grid": [2, 3, 4],
               "sectors": 9, "rounds": 48, "fresh": 32, "elements": 10, "tile_work": 128}  # fmt: skip
    more = {"moved": 288, "fresh": 32, "rounds": 48, "elements": 10, "tile": 64.0}
    work = work_of(counted, kernel(num_warps=8, spill_bytes=16), H100)
    assert work == Work(11, 7, {"fp32": 2.0}, 24, warps=8, resident=8, spill_bytes=16, **more)
    assert work_of(counted, None, H100) == Work(11, 7, {"fp32": 2.0}, 24, **more)
