"""Record, rules and compile together: what a candidate goes through before a device is needed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tritonrl_core.bench.compile.alternatives import without_failures
from tritonrl_core.bench.compile.request import BuildFailure, CompiledKernel
from tritonrl_core.bench.plan.flow import Reach
from tritonrl_core.bench.plan.schema import Launch, LaunchPlan, Tune
from tritonrl_core.bench.prepare import Preparation, Ready, Stop
from tritonrl_core.bench.rules.moved_data import reference_work
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, InputCase, Policy, Stage, Status, Task

REFERENCE = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return x * 2.0
def get_inputs():
    return [torch.randn(64, 100)]
def get_init_inputs():
    return []
"""
CODE = """
import os
import torch
import triton
import triton.language as tl
@triton.jit
def double(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0, mask=i < n)
class ModelNew(torch.nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        double[(50,)](x, out, x.numel(), BLOCK=128)
        return out
"""
TASK = Task(id="double", level=1, source=REFERENCE)
CASE = InputCase("as written", seed=1)


def one_case(task: Task, request: CaseRequest) -> list[InputCase]:
    return [replace(CASE, seed=n) for n in range(max(1, request.count))]


@pytest.fixture(scope="module")
def preparation() -> Iterator[Preparation]:
    spec = BenchSpec("cpu", "sm_90", 1, (), None, 60.0, "layout_only", "ieee", {})
    made = Preparation(spec, gpu_for("sm_90"), one_case)
    made.spot_checks = 0.0
    yield made
    made.close()


def stopped(answer: object, status: Status) -> Stop:
    assert isinstance(answer, Stop), answer
    assert answer.status is status, answer
    return answer


def test_an_honest_candidate_is_ready(preparation):
    ready = preparation.prepare(TASK, Candidate.from_code(CODE), CASE)
    assert isinstance(ready, Ready), ready
    assert ready.built[0].binary.startswith(b"\x7fELF")
    assert not ready.for_one_case


RULES = {
    "no Triton kernel was launched": (CODE.replace("double[(50,)](x, out, x.numel(), BLOCK=128)", ""), Status.REJECTED),
    "PyTorch does arithmetic": (CODE.replace("return out", "return torch.relu(out)"), Status.REJECTED),
    "made of the inputs without any Triton kernel": (CODE.replace("return out", "return x.clone()"), Status.CHEATED),
    "none computes it": (CODE.replace(" * 2.0", ""), Status.CHEATED),
    "does not depend on the inputs": (CODE.replace("(x, out, x", "(torch.ones_like(x), out, x"), Status.CHEATED),
}  # fmt: skip


@pytest.mark.parametrize("reason", RULES)
def test_rules_are_applied_to_the_plan(preparation, reason):
    code, status = RULES[reason]
    stop = stopped(preparation.prepare(TASK, Candidate.from_code(code), CASE), status)
    assert reason in stop.reason
    assert stop.stage is Stage.RECORD


def test_delegation_is_the_tasks_where_it_says_so(preparation):
    task = replace(TASK, policy=Policy(delegation="reported"))
    code = CODE.replace("return out", "return torch.relu(out)")
    assert isinstance(preparation.prepare(task, Candidate.from_code(code), CASE), Ready)


def test_a_task_that_only_moves_data_wants_no_arithmetic(preparation):
    task = replace(TASK, source=REFERENCE.replace("x * 2.0", "x.t().contiguous()"))
    assert reference_work(task, CASE).only_moves
    assert not reference_work(TASK, CASE).only_moves
    ready = preparation.prepare(task, Candidate.from_code(CODE.replace(" * 2.0", "")), CASE)
    assert isinstance(ready, Ready)


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ("x * 2.0, x.t().contiguous()", (Reach.COMPUTED, Reach.INPUT)),
        ("x.new_zeros(3) + 1, torch.cat([x, x * 2.0])", (Reach.NOTHING, Reach.COMPUTED)),
        ("x.clone().mul_(2.0), x", (Reach.COMPUTED, Reach.INPUT)),
    ],
)
def test_what_the_reference_does_for_each_output_is_known(outputs, wanted):
    assert reference_work(replace(TASK, source=REFERENCE.replace("x * 2.0", outputs)), CASE).outputs == wanted


def test_an_output_that_the_reference_only_moves_is_no_kernels_work(preparation):
    task = replace(TASK, source=REFERENCE.replace("x * 2.0", "x * 2.0, x.t().contiguous(), x.new_zeros(3)"))
    moved = CODE.replace("return out", "return out, x.t().contiguous(), torch.zeros(3, device='cuda')")
    assert isinstance(preparation.prepare(task, Candidate.from_code(moved), CASE), Ready)
    idle = moved.replace("return out,", "return x.clone(),")
    stop = stopped(preparation.prepare(task, Candidate.from_code(idle), CASE), Status.CHEATED)
    assert "output 0 is made of the inputs without any Triton kernel" in stop.reason


def test_what_follows_from_lengths_read_in_python_is_not_called_a_cheat(preparation):
    reference = REFERENCE.replace("forward(self, x)", "forward(self, x, n)").replace(
        "x * 2.0", "x * 2.0, (torch.arange(100, device=x.device) < n[:, None]).float()"
    )
    task = replace(TASK, source=reference.replace("100)]", "100), torch.randint(1, 100, (4,))]"))
    code = CODE.replace("forward(self, x)", "forward(self, x, n)").replace("class ", MARK + "class ").replace(
        "return out",
        """y = torch.empty((4, 100), device=x.device)
        for row, length in enumerate(n.tolist()):
            mark[(1,)](y[row], length)
        return out, y""",
    )
    stop = stopped(preparation.prepare(task, Candidate.from_code(code), CASE), Status.UNSUPPORTED)
    assert "output 1 does not depend on the inputs but by what Python read of them" in stop.reason


MARK = """
@triton.jit
def mark(y_ptr, length):
    i = tl.arange(0, 128)
    tl.store(y_ptr + i, tl.where(i < length, 1.0, 0.0), mask=i < 100)
"""


def test_a_kernel_that_does_not_compile_has_its_line(preparation):
    code = CODE.replace("BLOCK=128)", "BLOCK=128, num_warps=64)")
    stop = stopped(preparation.prepare(TASK, Candidate.from_code(code), CASE), Status.BUILD_ERROR)
    assert stop.stage is Stage.COMPILE
    assert "line 13" in stop.reason
    assert "double" in stop.reason


def test_a_plan_that_changes_from_child_to_child_is_found(preparation):
    code = CODE.replace("* 2.0", "* (2.0 + SEED)")
    code = code.replace("@triton.jit", "SEED = tl.constexpr(os.getpid())\n@triton.jit")
    candidate = Candidate.from_code(code)
    ready = preparation.prepare(TASK, candidate, CASE)
    assert isinstance(ready, Ready)
    stop = preparation.recheck(TASK, candidate, CASE, ready.plan)
    assert stopped(stop, Status.CHEATED).reason.startswith("recorded again")
    honest = preparation.prepare(TASK, Candidate.from_code(CODE), CASE)
    assert preparation.recheck(TASK, Candidate.from_code(CODE), CASE, honest.plan) is None


def test_an_answer_computed_in_python_is_found(preparation):
    code = CODE.replace("(x, out, x", "(torch.tensor([x.sum().item()], device='cuda'), out, x").replace(
        "i = tl", "i = tl.load(x_ptr).to(tl.int32) * 0 + tl")  # fmt: skip
    task = replace(TASK, policy=Policy(delegation="reported"))
    stop = stopped(preparation.prepare(task, Candidate.from_code(code), CASE), Status.CHEATED)
    assert "values of the inputs" in stop.reason


def test_alternatives_that_do_not_compile_are_left_out():
    good, bad = CompiledKernel("k", b"", 0, 4), BuildFailure("too large")
    launch = Launch(0, (1, 1, 1), (), line=7)
    other = replace(launch, kernel=1)
    kernels = tuple(_kernel(name) for name in ("a", "b"))
    tuned = _plan(kernels, Tune(((launch,), (other,))))
    plan, reason = without_failures(tuned, [bad, good])
    assert (plan.steps[0].variants, reason) == (((other,),), "")
    _, reason = without_failures(tuned, [bad, bad])
    assert "too large" in reason
    _, reason = without_failures(_plan(kernels, launch), [bad, good])
    assert reason.startswith("line 7: kernel a")


def _kernel(name):
    from tritonrl_core.bench.plan.schema import Kernel

    return Kernel(name, name, f"@{name}(", {}, ())


def _plan(kernels, *steps) -> LaunchPlan:
    return LaunchPlan("sm_90", "3.7.1", kernels, (), (), {}, (), steps, ())
