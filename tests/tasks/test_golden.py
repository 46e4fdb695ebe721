"""Golden solutions are right: their launch plans replayed on the CPU, and they themselves on a GPU at full size."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.prompts import completion_text
from tritonrl_core.tasks.suite import builtin_tasks

SCRIPT = Path(__file__).with_name("run_golden.py")
GOLDEN = golden_solutions()
SAMPLE = random.Random(0).sample([golden.task_id for golden in GOLDEN], 16)


def failures(device, size, cases, seed, *wanted):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "" if device == "cpu" else "0"}
    command = [sys.executable, str(SCRIPT), device, size, str(cases), str(seed), *wanted]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == cases * (len(wanted) or len(GOLDEN))
    return [line for line in lines if not line["ok"]]


def test_there_are_as_many_solutions_as_promised():
    levels = [golden.task_id[:3] for golden in GOLDEN]
    assert levels.count("l1_") >= 40
    assert levels.count("l2_") >= 20
    assert {golden.task_id for golden in GOLDEN} <= {task.id for task in builtin_tasks("all")}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.task_id)
def test_a_solution_is_a_plan_and_code_that_parse_back(golden):
    candidate = parse_completion(completion_text(golden.plan, golden.code))
    assert candidate.plan == golden.plan
    assert candidate.code.strip() == golden.code.strip()
    assert len(golden.plan) > 40
    assert "class ModelNew(torch.nn.Module)" in golden.code
    assert "@triton.jit" in golden.code
    assert max(len(line) for line in golden.code.splitlines()) <= 120


def test_a_sample_is_right_on_a_cpu():
    assert failures("cpu", "small", 5, 0, *SAMPLE) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_all_are_right_on_a_cpu(seed):
    assert failures("cpu", "small", 10, seed) == []


PARTS = 8
"""So many tests for all: each compiles its kernels on one core."""


@pytest.mark.gpu
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("seed", range(2))
def test_all_are_right_on_a_gpu_at_full_size(seed, part):
    wanted = [golden.task_id for golden in GOLDEN[part::PARTS]]
    assert failures("cuda", "full", 5, seed, *wanted) == []
