"""The replay worker and its pool, with a worker on the CPU: it replays plans that launch nothing, and dies as well."""

import base64
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.plan.schema import AtenCall, Buffer, Kernel, Launch, LaunchPlan, Param, TensorRef
from tritonrl_core.bench.replay.job import job_bytes, plan_bytes, values_job
from tritonrl_core.bench.replay.pool import ReplayPool
from tritonrl_core.errors import InfraError
from tritonrl_core.types import InputCase, Status, Task

SOURCE = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(8))
    def forward(self, x):
        return x * 2.0 + self.w
def get_inputs():
    return [torch.randn(4, 8)]
def get_init_inputs():
    return []
"""
TASK = Task(id="t", level=1, source=SOURCE)
CASE = InputCase("as written", seed=5)
X = TensorRef(0, (4, 8), (8, 1), 0, "float32")
W = TensorRef(1, (8,), (1,), 0, "float32")
OUT = TensorRef(2, (4, 8), (8, 1), 0, "float32")
STEPS = (
    AtenCall("aten.copy_.default", (OUT, X), {}, (OUT,)),
    AtenCall("aten.mul_.Tensor", (OUT, 2.0), {}, (OUT,)),
    AtenCall("aten.add_.Tensor", (OUT, W), {}, (OUT,)),
)
BUFFERS = (Buffer(128, "input", index=0), Buffer(32, "parameter", name="w"), Buffer(128, "alloc"))
PLAN = LaunchPlan("sm_90", "3.7.1", (), BUFFERS, (X,), {"w": W}, (), STEPS, (OUT,))


@pytest.fixture(scope="module")
def pool() -> Iterator[ReplayPool]:
    made = ReplayPool([0], workers=2, device="cpu")
    yield made
    made.close()


def check(pool: ReplayPool, plan: LaunchPlan = PLAN, case: InputCase = CASE, task: Task = TASK, deadline: float = 60):
    return pool.run(job_bytes("check", task, case, plan_bytes(plan, []), "default", "ieee"), deadline)


def test_a_right_plan_passes(pool):
    answer = check(pool)
    assert answer.outcome == "ok"
    assert answer.data["status"] == Status.PASSED, answer.data
    assert answer.data["error"] <= 1
    assert answer.data["withheld_right"]


def test_a_wrong_plan_is_wrong_with_its_worst_element(pool):
    answer = check(pool, replace(PLAN, steps=STEPS[:2]))
    assert answer.data["status"] == Status.WRONG
    assert answer.data["worst"]["output"] == 0


def test_output_that_nobody_writes_is_poison(pool):
    assert check(pool, replace(PLAN, steps=())).data["status"] == Status.WRONG


def test_a_changed_parameter_is_named(pool):
    spoil = AtenCall("aten.zero_.default", (W,), {}, (W,))
    answer = check(pool, replace(PLAN, steps=(*STEPS, spoil)))
    assert answer.data["status"] == Status.WRONG
    assert "parameter w" in answer.data["reason"]


def test_a_parameter_that_the_reference_changes_is_changed_likewise_or_left_alone(pool):
    counts = replace(TASK, source=SOURCE.replace("return x * 2.0 + self.w", "y = x * 2.0 + self.w\n        "
                     "self.w.zero_()\n        return y"), mutated_buffers=("w",))  # fmt: skip
    zero, double = (AtenCall(name, args, {}, (W,)) for name, args in
                    (("aten.zero_.default", (W,)), ("aten.mul_.Tensor", (W, 2.0))))  # fmt: skip
    for steps in (STEPS, (*STEPS, zero)):
        assert check(pool, replace(PLAN, steps=steps), task=counts).data["status"] == Status.PASSED
    wrong = check(pool, replace(PLAN, steps=(*STEPS, double)), task=counts).data
    assert (wrong["status"], "parameter w, which it changes" in wrong["reason"]) == (Status.WRONG, True)


IN_PLACE = replace(TASK, source=SOURCE.replace("return x * 2.0 + self.w", "x.mul_(2.0)\n        return x + self.w"))
CHANGE = AtenCall("aten.mul_.Tensor", (X, 2.0), {}, (X,))


def test_an_input_that_the_reference_changes_must_be_changed_likewise(pool):
    right = check(pool, replace(PLAN, steps=(*STEPS, CHANGE)), task=IN_PLACE)
    assert right.data["status"] == Status.PASSED, right.data
    for steps in (STEPS, (*STEPS, CHANGE, CHANGE)):
        wrong = check(pool, replace(PLAN, steps=steps), task=IN_PLACE)
        assert wrong.data["status"] == Status.WRONG
        assert "the input it changes" in wrong.data["reason"]


def test_an_input_that_the_reference_leaves_alone_must_be_left_alone(pool):
    answer = check(pool, replace(PLAN, steps=(*STEPS, CHANGE)))
    assert answer.data["status"] == Status.WRONG
    assert "changed its input 0" in answer.data["reason"]


def test_a_broken_reference_is_named_with_its_line(pool):
    answer = check(pool, task=replace(TASK, source=SOURCE.replace("x * 2.0", "x.no_such_thing")))
    assert "no_such_thing" in answer.data["task_error"]


def test_inputs_that_lie_otherwise_than_recorded_are_our_fault(pool):
    assert "input 0" in check(pool, case=replace(CASE, layout="offset")).data["infra"]


def test_values_are_those_that_a_check_uses(pool):
    answer = pool.run(values_job(TASK, CASE), 60)
    data = base64.b64decode(answer.data["values"])
    values = torch.frombuffer(bytearray(data), dtype=torch.float32)
    assert values.numel() == 4 * 8 + 8
    # An ATen "kernel" that writes the inputs' values as constants is right exactly when these are the inputs.
    table = Buffer(128, "constant", data=data[:128])
    steps = (AtenCall("aten.copy_.default", (OUT, TensorRef(3, (4, 8), (8, 1), 0, "float32")), {}, (OUT,)), *STEPS[1:])
    assert check(pool, replace(PLAN, buffers=(*BUFFERS, table), steps=steps)).data["status"] == Status.PASSED


def test_a_launch_without_a_driver_is_a_fault_and_the_next_job_never_notices(pool):
    ttir = "module {\n  tt.func public @k(%arg0: !tt.ptr<f32>) {\n    tt.return\n  }\n}\n"
    kernel = Kernel("k", "k", ttir, {}, (Param("x", "*fp32"),))
    launching = replace(PLAN, kernels=(kernel,), steps=(*STEPS, Launch(0, (1, 1, 1), (OUT,))))
    answer = pool.run(job_bytes("check", TASK, CASE, plan_bytes(launching, [None]), "default", "ieee"), 60)
    assert answer.outcome == "fault"
    assert check(pool).data["status"] == Status.PASSED


def test_a_deadline_ends_the_worker_and_only_it(pool):
    slow = replace(TASK, source=SOURCE.replace("return x * 2.0", "import time; time.sleep(600); return x * 2.0"))
    assert check(pool, task=slow, deadline=2.0).outcome == "timeout"
    assert check(pool).data["status"] == Status.PASSED


def test_a_killed_worker_is_replaced(pool):
    check(pool)
    for slot in pool._all:
        os.kill(slot.worker()._process.pid, signal.SIGKILL)
    outcomes = [check(pool).outcome for _ in range(3)]
    assert outcomes.count("died") <= 2
    assert outcomes[-1] == "ok"


def test_the_next_job_lies_ready_and_survives_the_loss_of_the_worker():
    alone = ReplayPool([0], workers=1, device="cpu")
    try:
        check(alone)
        slow = replace(TASK, source=SOURCE.replace("return x * 2.0", "import time; time.sleep(3); return x * 2.0"))
        with ThreadPoolExecutor(4) as threads:
            lost = threads.submit(check, alone, PLAN, CASE, slow, 1.0)
            others = [threads.submit(check, alone) for _ in range(3)]
        assert lost.result().outcome == "timeout"
        assert [other.result().data["status"] for other in others] == [Status.PASSED] * 3
    finally:
        alone.close()


def test_a_worker_that_is_killed_while_it_starts_costs_nobody_an_answer():
    alone = ReplayPool([0], workers=1, device="cpu", spares=False)
    try:
        os.kill(alone._all[0].worker()._process.pid, signal.SIGKILL)
        assert check(alone).data["status"] == Status.PASSED
    finally:
        alone.close()


def test_a_machine_on_which_no_worker_starts_is_told_so():
    nowhere = ReplayPool([0], workers=1, device="cuda:17", spares=False)
    try:
        with pytest.raises(InfraError, match="did not start"):
            check(nowhere)
    finally:
        nowhere.close()
