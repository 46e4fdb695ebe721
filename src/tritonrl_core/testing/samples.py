"""Small, plain values of each kind that hooks are given, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from tritonrl_core.testing.fakes import FakeProgram
from tritonrl_core.types import (
    BenchSpec,
    Candidate,
    LevelStats,
    Limits,
    RewardParts,
    SandboxJob,
    Score,
    Stage,
    Status,
    Task,
    Timing,
    Verdict,
)

SAMPLE_REFERENCE = """
import torch
import torch.nn as nn

N = 64

class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)

def get_inputs():
    return [torch.randn(N)]

def get_init_inputs():
    return []
"""

SAMPLE_KERNEL = """
import torch
import torch.nn as nn
import triton
import triton.language as tl

@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    tl.store(y_ptr + offsets, tl.maximum(x, 0.0), mask=mask)

class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        n = x.numel()
        relu_kernel[(triton.cdiv(n, 128),)](x, y, n, BLOCK=128)
        return y
"""


def sample_task(level: int = 1, id: str = "sample/relu") -> Task:
    """ReLU of a vector, whose length `N` may vary."""
    return Task(
        id=id, level=level, source=SAMPLE_REFERENCE, prompt="ReLU of a vector of N values.", vary={"N": (48, 65)}
    )


def sample_candidate() -> Candidate:
    """A right kernel for `sample_task`, with a plan."""
    plan = "One kernel, 128 elements a program."
    text = f"<plan>\n{plan}\n</plan>\n```python\n{SAMPLE_KERNEL}```"
    at = text.index(SAMPLE_KERNEL)
    return Candidate(text, SAMPLE_KERNEL, plan, (7, 7 + len(plan)), (at, at + len(SAMPLE_KERNEL)))


def sample_timing(speedup: float = 1.5, *, clock: str = "events", source: str = "") -> Timing:
    """Ten equal samples of candidate and eager baseline."""
    return Timing(
        candidate_us=(100.0,) * 10, baseline_us={"eager": (100.0 * speedup,) * 10}, speedup=speedup,
        speedup_low=0.98 * speedup, speedup_high=1.02 * speedup, device="fake",
        method="simple", clock=clock, source=source,
    )  # fmt: skip


def sample_score(status: Status = Status.PASSED, *, level: int = 1, speedup: float = 1.5) -> Score:
    """A score of `sample_candidate` with the status given."""
    passed = status is Status.PASSED
    reward = RewardParts(None, None) if status is Status.INFRA else RewardParts(float(passed), passed * speedup)
    verdict = Verdict(
        status, Stage.FULL, valid=True, compiled=True, cases_passed=int(passed), cases_total=1, source="base"
    )
    task = sample_task(level)
    return Score(
        task_id=task.id, level=level, task_key=task.key, candidate=sample_candidate(),
        verdict=verdict, timing=sample_timing(speedup) if passed else None, reward=reward,
        step=0, group="group-0",
    )  # fmt: skip


def sample_group(level: int = 1) -> list[Score]:
    """Four completions of one prompt: two right at different speeds, one wrong, one that our fault left out."""
    return [
        sample_score(level=level, speedup=1.2),
        sample_score(level=level, speedup=2.4),
        sample_score(Status.WRONG, level=level),
        sample_score(Status.INFRA, level=level),
    ]


def hook_arguments(hook: str) -> Mapping[str, Any]:
    """Fresh arguments for a call of a hook."""
    task, candidate = sample_task(), sample_candidate()
    match hook:
        case "generate_tasks":
            return {"split": "train", "seed": 0}
        case "sample_level":
            stats = {1: LevelStats(1, groups=8, candidates=64, correct=40), 2: LevelStats(2, 2, 16, 3)}
            return {"stats": stats, "step": 10, "rng": Random(0)}
        case "sample_task":
            tasks = [replace(task, id=f"{task.id}_{place}") for place in range(8)]
            return {"tasks": tasks, "step": 10, "rng": Random(0)}
        case "pre_filter":
            return {"task": task, "candidate": candidate, "program": FakeProgram()}
        case "sandbox_exec":
            return {"job": SandboxJob(entry=lambda: b"done", limits=Limits(wall_s=20.0), profile="interpret")}
        case "check_correctness":
            return {"task": task, "program": FakeProgram()}
        case "measure_speed":
            return {"task": task, "program": FakeProgram(timing=sample_timing())}
        case "observe_group":
            return {"scores": sample_group(), "step": 3}
        case "assign_credit":
            return {"scores": sample_group()}
        case "collect_metrics":
            return {"step": 3}
        case "open_bench":
            return {
                "spec": BenchSpec(
                    device="cpu", target="sm_90", cpu_workers=1, gpus=(), gpu_memory_bytes=None, timeout_s=10.0,
                    delegation="layout_only", precision="ieee", worker_preset={},
                )
            }  # fmt: skip
    raise KeyError(hook)
