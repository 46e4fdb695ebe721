"""What is told of a run: at a glance and closely alike, whatever it did to outputs, inputs, parameters and beyond."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tritonrl_core.bench.plan.schema import AtenCall, Buffer, LaunchPlan, TensorRef
from tritonrl_core.bench.replay import check as replay_check
from tritonrl_core.bench.replay.check import Bench
from tritonrl_core.bench.replay.device_memory import POISONS
from tritonrl_core.bench.replay.job import Job
from tritonrl_core.types import InputCase, Status, Task

CPU = torch.device("cpu")
SOURCE = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(8))
        self.register_buffer("count", torch.zeros(()))
    def forward(self, x, y):
        self.count += 1
        y.add_(1.0)
        return x * 2.0 + self.w
def get_inputs():
    return [torch.randn(4, 8), torch.randn(8)]
def get_init_inputs():
    return []
"""
QUIET = SOURCE.replace("        y.add_(1.0)\n", "")
CASE = InputCase("as written", seed=5)
X = TensorRef(0, (4, 8), (8, 1), 0, "float32")
Y = TensorRef(1, (8,), (1,), 0, "float32")
W = TensorRef(2, (8,), (1,), 0, "float32")
COUNT = TensorRef(3, (), (), 0, "float32")
OUT = TensorRef(4, (4, 8), (8, 1), 0, "float32")
BUFFERS = (
    Buffer(128, "input", index=0), Buffer(32, "input", index=1), Buffer(32, "parameter", name="w"),
    Buffer(4, "parameter", name="count"), Buffer(128, "alloc"),
)  # fmt: skip


def call(name: str, ref: TensorRef, *args: Any) -> AtenCall:
    return AtenCall(f"aten.{name}", (ref, *args), {}, (ref,))


RIGHT = (call("copy_.default", OUT, X), call("mul_.Tensor", OUT, 2.0), call("add_.Tensor", OUT, W))
CHANGES_Y = call("add_.Tensor", Y, 1.0)


def job(steps: Sequence[AtenCall], source: str = QUIET, **more: Any) -> Job:
    plan = LaunchPlan("sm_90", "3.7.1", (), BUFFERS, (X, Y), {"w": W, "count": COUNT}, (), tuple(steps), (OUT,))
    return Job(Task("t", 1, source), CASE, plan, [], **more)


def judged(steps: Sequence[AtenCall], source: str = QUIET, *, spoil: bool = False, **more: Any) -> dict[str, Any]:
    bench, one = Bench(CPU), job(steps, source, **more)
    placed = bench.replay(one).place(bench.cases.given(one.task, CASE), POISONS[0])
    placed.run()
    if spoil:
        placed.arena.memory[-1] = 1
    return bench.judge(one, placed, [output.clone() for output in placed.outputs()])


RUNS = {
    "right": (RIGHT, QUIET, Status.PASSED, ""),
    "a wrong output": (RIGHT[:2], QUIET, Status.WRONG, "output"),
    "an input changed": ((*RIGHT, CHANGES_Y), QUIET, Status.WRONG, "changed its input 1, which the reference leaves"),
    "a parameter changed": ((*RIGHT, call("add_.Tensor", W, 1.0)), QUIET, Status.WRONG, "changed parameter w"),
    "a buffer changed as by the reference": ((*RIGHT, call("add_.Tensor", COUNT, 1.0)), QUIET, Status.PASSED, ""),
    "a buffer changed otherwise": ((*RIGHT, call("add_.Tensor", COUNT, 2.0)), QUIET, Status.WRONG, "parameter count"),
    "an input changed as by the reference": ((*RIGHT, CHANGES_Y), SOURCE, Status.PASSED, ""),
    "an input left alone": (RIGHT, SOURCE, Status.WRONG, "the input it changes"),
}


@pytest.mark.parametrize("glance", [True, False])
@pytest.mark.parametrize("kind", RUNS)
def test_what_a_run_left_decides(kind, glance, monkeypatch):
    monkeypatch.setattr(replay_check, "GLANCE", glance)
    steps, source, status, words = RUNS[kind]
    found = judged(steps, source)
    assert (found["status"], words in found["reason"]) == (status, True), found
    beyond = judged(steps, source, spoil=True)
    assert (beyond["status"], "stored outside its tensors" in beyond["reason"]) == (Status.RUNTIME_ERROR, True)


def test_at_a_glance_the_same_is_told(monkeypatch):
    quick = judged(RIGHT)
    monkeypatch.setattr(replay_check, "GLANCE", False)
    assert judged(RIGHT) == quick
    monkeypatch.setattr(replay_check, "GLANCE", True)
    assert judged(RIGHT, criterion="kernelbench")["status"] is Status.PASSED
