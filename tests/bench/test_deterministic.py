"""Runs of one kernel on one input that differ: a fact within the tolerance, and never a verdict by itself."""

from collections.abc import Iterator

import pytest
import torch

from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.loaders import task_from_source
from tritonrl_core.types import Status
from tritonrl_core.verifier import Verifier

REFERENCE = """
import torch
import torch.nn as nn

N = 40961

class Model(nn.Module):
    def forward(self, x):
        return x.sum().reshape(1)

def get_inputs():
    return [torch.randn(N)]

def get_init_inputs():
    return []
"""
TOTAL = """
import torch
import torch.nn as nn
import triton
import triton.language as tl

@triton.jit
def total(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(o_ptr, tl.sum(tl.load(x_ptr + i, mask=i < n, other=0.0), 0))

class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.zeros(1, device=x.device)
        total[(triton.cdiv(x.numel(), 64),)](x, out, x.numel(), BLOCK=64)
        return out
"""
ONE_PROGRAM = TOTAL.replace("BLOCK=64", "BLOCK=65536").replace("x.numel(), 64", "x.numel(), 65536")
LAST_WINS = TOTAL.replace("tl.atomic_add(o_ptr, ", "tl.atomic_xchg(o_ptr, ")
TASK = task_from_source(REFERENCE, "total")


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def verifier(request: pytest.FixtureRequest) -> Iterator[Verifier]:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    with Verifier(load_preset("baseline", [f"verifier.device={request.param}", "verifier.cpu_workers=1"])) as opened:
        yield opened


def test_sums_in_another_order_pass_and_are_called_not_deterministic(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, TOTAL).verdict
    assert (verdict.status, verdict.facts["deterministic"]) == (Status.PASSED, False)


def test_the_same_bits_are_called_deterministic(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, ONE_PROGRAM).verdict
    assert (verdict.status, verdict.facts["deterministic"]) == (Status.PASSED, True)


def test_a_kernel_in_which_no_programs_meet_is_not_run_again(verifier: Verifier) -> None:
    verdict = verifier.verify(TASK, ONE_PROGRAM.replace("tl.atomic_add", "tl.store")).verdict
    assert verdict.status is Status.PASSED
    assert "deterministic" not in verdict.facts


def test_a_result_that_the_order_decides_is_wrong(verifier: Verifier) -> None:
    assert verifier.verify(TASK, LAST_WINS).verdict.status is Status.WRONG
