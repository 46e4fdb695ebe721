"""Prompts say what is asked, what may vary, what is forbidden and how to answer."""

from dataclasses import replace

import pytest

from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.prompts import chat_messages, compact_prompt, completion_text, statement
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Policy, Task

SUITE = {task.id: task for task in builtin_tasks("all")}


def text(task, **options):
    return "\n".join(message["content"] for message in chat_messages(task, **options))


def test_the_chat_prompt_has_the_reference_what_varies_the_rules_and_the_form_of_the_answer():
    prompt = text(SUITE["l1_softmax"])
    for words in ("class Model(nn.Module)", "COLS: 96, 257", "float16", "tl.softmax", "ModelNew", "`contiguous`",
                  "count as cheating", "<plan>", "```python", "strided"):
        assert words in prompt


@pytest.mark.parametrize(("delegation", "words"), [
    ("none", "only allocate outputs"), ("layout_only", "`contiguous`/`clone`"), ("reported", "counted and reported"),
])
def test_the_chat_prompt_states_the_delegation_rule(delegation, words):
    assert words in text(SUITE["l1_softmax"], delegation=delegation)


def test_a_tasks_own_policy_goes_before_the_presets():
    strict = replace(SUITE["l1_softmax"], policy=Policy(delegation="none"))
    assert "only allocate outputs" in text(strict, delegation="reported")


def test_a_statement_names_modes_and_buffers_that_the_reference_changes():
    task = statement(Task("t", 1, "", mode="train", mutated_buffers=("norm.running_mean",)))
    assert "train mode" in task.prompt
    assert "norm.running_mean" in task.prompt
    assert "Shapes are as in the source." in task.prompt


def test_the_compact_prompt_is_the_reference_without_scaffolding():
    assert compact_prompt(SUITE["l2_linear_gelu_scale"]) == (
        "<|task|>M = 70\nK = 70\nN = 65\n"
        "def __init__(self, features, outputs):\n    self.linear = nn.Linear(features, outputs)\n"
        "def forward(self, x):\n    return F.gelu(self.linear(x)) * 1.5\n"
        "[torch.randn(M, K)]\n[K, N]\n<|sol|>"
    )


def test_compact_prompts_of_different_tasks_differ():
    assert len({compact_prompt(task) for task in SUITE.values()}) == len(SUITE)


def test_a_completion_parses_back():
    candidate = parse_completion(completion_text("one pass, BLOCK 1024.", "class ModelNew: pass"))
    assert candidate.plan == "one pass, BLOCK 1024."
    assert candidate.code.strip() == "class ModelNew: pass"
