"""No rule on the source refuses a right kernel: the golden set, and variations of it that change nothing."""

import ast

import pytest
from tritonrl_plugin_funnel.rules import source_objection

from tritonrl_core.tasks.golden import Golden, golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.testing import sample_candidate, sample_task

TASKS = {task.id: task for split in ("train", "held_out") for task in builtin_tasks(split)}


@pytest.mark.parametrize("golden", golden_solutions(), ids=lambda golden: golden.task_id)
def test_no_rule_refuses_a_right_kernel(golden: Golden) -> None:
    task = TASKS[golden.task_id]
    for code in (golden.code, ast.unparse(ast.parse(golden.code)), _renamed(golden.code), _guarded(golden.code)):
        assert source_objection(task, code) is None


def test_no_rule_refuses_the_kits_sample() -> None:
    assert source_objection(sample_task(), sample_candidate().code) is None


def _renamed(code: str) -> str:
    return code.replace("import triton.language as tl", "import triton.language as L").replace("tl.", "L.")


def _guarded(code: str) -> str:
    """With what careful people write around a kernel."""
    head = "import os\ntry:\n    import cupy\nexcept ImportError:\n    cupy = None\n"
    tail = "\nif __name__ == '__main__':\n    print(ModelNew)\n"
    return head + code + tail
