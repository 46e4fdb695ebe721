"""Fit to judge: tasks on which a kernel could pass without the work are refused, with the reason."""

import time
from dataclasses import replace

import pytest

from tritonrl_core.tasks.fitness import examine
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Task

SUITE = builtin_tasks("all")


def task(forward, *, init="", inputs="torch.randn(ROWS, 40)", arguments="x", mode="eval", **more):
    body = f"    def __init__(self):\n        super().__init__()\n        {init}\n\n" if init else ""
    return Task("subject", 2, f"""\
import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 24

class Model(nn.Module):
{body}    def forward(self, {arguments}):
        {forward}

def get_inputs():
    return [{inputs}]

def get_init_inputs():
    return []
""", mode=mode, **more)


@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        (task("return torch.ones_like(x)"), "same for other inputs"),
        (task("return torch.softmax(x.sum(1, keepdim=True), dim=1)"), "same for other inputs"),
        (task("y = x.mean(1, keepdim=True); return F.gelu(y - y.mean(1, keepdim=True))"), "same for other inputs"),
        (task("return torch.relu(x)", arguments="x, y", inputs="torch.randn(ROWS, 40), torch.randn(ROWS, 40)"),
         "does not depend on input 1"),
        (task("return torch.relu(x) + 0 * self.linear(x)", init="self.linear = nn.Linear(40, 40)"),
         "does not depend on the parameters"),
        (task("return F.dropout(x, 0.5, self.training)", mode="as_is"), "two runs on the same inputs disagree"),
        (task("return x + 1e-9 * torch.tanh(x)"), "a copy of input 0 passes"),
        (task("return x.contiguous()"), "a copy of input 0 passes"),
        (task("return torch.log(-torch.abs(x) - 1)"), "output 0 is nowhere finite"),
        (task("return x.new_zeros(0)"), "it has no output"),
        (task("return 1000 + torch.relu(x) * 1e-4"), "same for other inputs"),
        (task("return x @ x", inputs="torch.randn(ROWS, 24)", vary={"ROWS": (16,)}), "does not run with ROWS=16"),
        (task("return x @ x"), "forward raised RuntimeError"),
    ],
)
def test_an_unfit_task_is_refused_with_its_reason(unfit, reason):
    examination = examine(unfit)
    assert not examination.fit
    assert reason in examination.reason


def test_a_parameter_that_a_normalisation_takes_away_is_noted_and_the_task_is_fit():
    normed = task("return F.layer_norm(self.linear(x) + self.shift, (8,))",
                  init="self.linear = nn.Linear(40, 8); self.shift = nn.Parameter(torch.ones(1))")
    examination = examine(normed)
    assert examination.fit
    assert examination.notes == ("parameter shift does not show in the output",)


def test_a_fit_task_tells_the_references_own_error():
    examination = examine(task("return torch.softmax(x, 1)"))
    assert examination.fit
    assert 0 < examination.own_error < 1e-6


def test_an_examination_is_kept_by_content(tmp_path):
    runs = tmp_path / "runs"
    subject = task(f"open({str(runs)!r}, 'a').write('.'); return torch.softmax(x * 3, 1)")
    first, once = examine(subject), runs.read_text()
    assert first.fit
    assert examine(subject) == first
    assert examine(replace(subject, id="another", prompt="in other words")) == first
    assert runs.read_text() == once


def test_the_suite_is_fit():
    assert {task.id: found.reason for task in SUITE if not (found := examine(task)).fit} == {}


def test_a_task_of_full_size_is_examined_at_a_smaller_one_on_a_cpu():
    (full,) = [task for task in builtin_tasks("train", "full") if task.id == "l1_matmul"]
    start = time.process_time()
    examination = examine(full)
    assert examination.fit
    assert examination.notes == ()
    assert time.process_time() - start < 20


CONSTANT_OF_A_SUITE = """\
import torch
import torch.nn as nn

class Model(nn.Module):
    def __init__(self, channels, outputs, kernel, groups):
        super().__init__()
        self.conv = nn.Conv3d(channels, outputs, kernel)
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, x):
        return self.norm(self.conv(x)).clamp(max=0).clamp(min=0, max=1)

batch_size = 128
channels = 3
outputs = 24
depth, height, width = 24, 32, 32
kernel = side = 3
groups = 8

def get_inputs():
    return [torch.rand(batch_size, channels, depth, height, width)]

def get_init_inputs():
    return [channels, outputs, kernel, groups]
"""


def test_a_constant_task_is_found_however_large_and_however_its_sizes_are_written():
    examination = examine(Task("constant", 2, CONSTANT_OF_A_SUITE))
    assert not examination.fit
    assert "same for other inputs" in examination.reason
