"""Graphs, decontamination and facts: what a reference computes, and how much work that is."""

from pathlib import Path

import pytest

from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.decontaminate import computation_key
from tritonrl_core.tasks.facts import task_facts
from tritonrl_core.tasks.graph import graph_key
from tritonrl_core.tasks.memo import Memo
from tritonrl_core.tasks.shrink import affordable, divided
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Task

SUITE = {task.id: task for task in builtin_tasks("all")}
FULL = {task.id: task for task in builtin_tasks("all", "full")}


def task(forward, inputs="torch.randn(4, 32), torch.randn(4, 32)", name="t"):
    return Task(name, 1, f"""\
import torch
import torch.nn.functional as F

class Model(torch.nn.Module):
    def forward(self, x, y):
        {forward}

def get_inputs():
    return [{inputs}]

def get_init_inputs():
    return []
""")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return torch.relu(x) * 2 + y", "z = y + 3 * F.relu(x); return z"),
        ("return F.silu(x) + y", "return y + x * torch.sigmoid(x)"),
        ("return torch.softmax(x + y, -1)", "a = x.clone().contiguous() + y; return F.softmax(a, dim=1)"),
        ("return x.reshape(2, 2, 32).reshape(4, 32) - y", "return x - y"),
        ("unused = x.exp(); return x * y", "return y * x"),
    ],
)
def test_names_constants_and_spelling_do_not_make_another_computation(one, other):
    assert graph_key(task(one)) == graph_key(task(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return torch.relu(x) + y", "return torch.sigmoid(x) + y"),
        ("return x - y", "return y - x - y"),
        ("return x @ y.T", "return x @ x.T + y.sum()"),
        ("return torch.relu(x + y)", "return torch.relu(x) + y"),
        ("return x * y", "return x + y"),
    ],
)
def test_another_computation_has_another_key(one, other):
    assert graph_key(task(one)) != graph_key(task(other))


def test_shapes_do_not_matter_but_the_number_of_dimensions_does():
    plain = task("return torch.relu(x + y)")
    larger = task("return torch.relu(x + y)", "torch.randn(9, 5), torch.randn(9, 5)")
    deeper = task("return torch.relu(x + y)", "torch.randn(2, 9, 5), torch.randn(2, 9, 5)")
    assert graph_key(plain) == graph_key(larger) != graph_key(deeper)


def test_what_computes_the_same_has_one_key(tmp_path):
    memo = Memo("graphs", tmp_path)
    twin, fine = task("return torch.relu(x) * 2 + y", name="twin"), task("return x - y", name="fine")
    tested = computation_key(task("return y + F.relu(x) * 7", name="tested"), memo)
    assert computation_key(twin, memo) == tested != computation_key(fine, memo)


def test_what_cannot_be_traced_is_compared_by_its_text(tmp_path):
    memo, forward = Memo("graphs", tmp_path), "return x if float(x.sum()) > 0 else y"
    untraceable, same = task(forward, name="a"), task(forward + "  # the same", name="b")
    with pytest.raises(TaskError):
        graph_key(untraceable)
    other = task(forward.replace("> 0", "> 1"))
    assert computation_key(untraceable, memo) == computation_key(same, memo) != computation_key(other, memo)


def test_facts_of_a_product_and_of_a_fusion():
    facts = task_facts(FULL["l1_matmul"])
    assert facts.flops == 2 * 4096 * 2048 * 4096
    assert facts.bytes == facts.eager_bytes == 4 * (4096 * 2048 + 2048 * 4096 + 4096 * 4096)
    assert facts.operators == {"mm": 1}
    assert facts.launches == 1
    assert facts.roofline_us == pytest.approx(facts.flops / 66.9e12 * 1e6)
    fused = task_facts(FULL["l2_scale_bias_tanh"])
    assert fused.launches == 3
    assert fused.saving == pytest.approx(2 / 3, abs=0.01)
    assert fused.roofline_us == pytest.approx(fused.bytes / 3.35e12 * 1e6)
    assert fused.eager_us > fused.roofline_us


def test_a_task_too_large_for_a_cpu_is_made_smaller_with_its_groups_intact():
    smaller = affordable(FULL["l1_group_norm"], 1e8, 8e6)
    facts = task_facts(smaller)
    assert facts.flops <= 1e8
    assert facts.eager_bytes <= 8e6
    assert all(channels % 3 == 0 for channels in smaller.vary["CHANNELS"])
    assert affordable(SUITE["l1_group_norm"], 1e8, 8e6) is SUITE["l1_group_norm"]
    assert divided(SUITE["l1_matmul"], 2).vary["M"] == (24,)


def test_a_memo_keeps_answers_between_processes_and_survives_a_cut_line(tmp_path):
    asked = []

    def find_out():
        asked.append(1)
        return {"answer": 42}

    assert Memo("things", tmp_path).recall("key", find_out) == {"answer": 42}
    with Path(tmp_path / "things.jsonl").open("a") as file:
        file.write('["other", {"ans')
    assert Memo("things", tmp_path).recall("key", find_out) == {"answer": 42}
    assert len(asked) == 1


def test_a_memo_without_a_folder_to_write_still_answers(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert Memo("things", blocked).recall("key", lambda: 1) == 1
