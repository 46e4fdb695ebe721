"""What a model is told about a task: the statement, the chat form, the compact form, and the form of the answer.

The one place where prompts are built. The rules in them are those that the bench enforces; reading an answer is
`spans.parse_completion`. No torch here.
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import replace

from tritonrl_core.syntax import parse
from tritonrl_core.types import Task

TASK_TOKEN, SOLUTION_TOKEN = "<|task|>", "<|sol|>"
"""Marks of the compact prompt, single tokens of the bundled small model."""

_SYSTEM = """\
You are an expert in GPU programming. You write Triton kernels that are right first and fast second.\
"""

_RULES = """\
Rules:
- Define `class ModelNew(torch.nn.Module)` with the same arguments of `__init__` and `forward` as `Model`, and the \
same names and shapes of parameters and buffers: their values are re-drawn before each check and loaded by name.
- All arithmetic is done by Triton kernels of yours (`@triton.jit`). {delegation}
- Inputs are on the GPU. Their values are anything the reference is defined for, and they may be strided, offset or \
expanded views: use their strides or call `.contiguous()`. Take sizes from the tensors, not from the constants above.
- Accumulate in float32. Inputs and weights are left unchanged.
- These count as cheating and earn nothing: falling back to PyTorch, kernels whose result is not used, returning \
stored or precomputed outputs, doing part of the work, changing the judge or its clock, reading memory that was not \
passed in.\
"""

_DELEGATION = {
    "none": "PyTorch may only allocate outputs (`torch.empty` and the like) and read shapes and strides.",
    "layout_only": (
        "PyTorch may only allocate and fill, make views, `contiguous`/`clone`, cast dtypes, and `cat`/`stack`/`pad`."
    ),
    "reported": "PyTorch calls that compute are counted and reported, so leave as little to them as you can.",
}

_ANSWER = """\
Answer with a short plan (what is fused, block sizes, warps, and why) between <plan> and </plan>, then one Python \
block with the complete code:

<plan>
...
</plan>
```python
import torch
import triton
import triton.language as tl
...
class ModelNew(torch.nn.Module):
    ...
```\
"""


def statement(task: Task, summary: str = "") -> Task:
    """The task with its `prompt` filled in: what it computes and what may vary, in sentences for a person."""
    parts = [summary] if summary else []
    if task.vary:
        choices = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in task.vary.items())
        parts.append(f"Beside the values in the source, these constants may take others ({choices}).")
    else:
        parts.append("Shapes are as in the source.")
    if task.dtypes:
        parts.append(f"Floating inputs and parameters may also be {' or '.join(task.dtypes)}.")
    if task.mode != "as_is":
        parts.append(f"The module is in {task.mode} mode.")
    if task.mutated_buffers:
        parts.append(f"The reference itself updates the buffers {', '.join(task.mutated_buffers)}; do the same.")
    if task.policy.forbidden_builtins:
        names = ", ".join(f"tl.{name}" for name in task.policy.forbidden_builtins)
        parts.append(f"The task is the algorithm itself: {names} may not be used.")
    return replace(task, prompt=" ".join(parts))


def chat_messages(task: Task, delegation: str = "layout_only") -> list[dict[str, str]]:
    """Messages for a chat model: the reference, what may vary, the rules and the form of the answer.

    `delegation` is the preset's; a task's own policy goes before it.
    """
    rules = _RULES.format(delegation=_DELEGATION[task.policy.delegation or delegation])
    kernel = "one fused Triton kernel where it can be" if task.level > 1 else "Triton kernels"
    request = f"Rewrite this PyTorch module with {kernel}.\n\n```python\n{task.source.strip()}\n```"
    content = "\n\n".join([request, task.prompt or statement(task).prompt, rules, _ANSWER])
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": content}]


def compact_prompt(task: Task) -> str:
    """The prompt of a small model: the reference without imports, docstrings and scaffolding, between two marks."""
    return f"{TASK_TOKEN}{_without_boilerplate(task.source)}\n{SOLUTION_TOKEN}"


def completion_text(plan: str, code: str) -> str:
    """A completion in the form that both prompts ask for; `spans.parse_completion` is its inverse."""
    return f"<plan>\n{plan.strip()}\n</plan>\n```python\n{code.strip()}\n```"


def _without_boilerplate(source: str) -> str:
    lines: list[str] = []
    for node in parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ClassDef) and node.name == "Model":
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            lines += [_segment(source, method) for method in methods]
        elif isinstance(node, ast.FunctionDef) and node.name in ("get_inputs", "get_init_inputs"):
            value = _only_return(node)
            text = _segment(source, value) if value is not None else _segment(source, node)
            if text != "[]":
                lines.append(text)
        else:
            lines.append(_segment(source, node))
    return "\n".join(line for part in lines for line in part.splitlines() if not _is_noise(line))


def _only_return(function: ast.FunctionDef) -> ast.expr | None:
    last = function.body[-1]
    return last.value if len(function.body) == 1 and isinstance(last, ast.Return) else None


def _segment(source: str, node: ast.stmt | ast.expr) -> str:
    text = ast.get_source_segment(source, node, padded=True) or ""
    return textwrap.dedent(text)


def _is_noise(line: str) -> bool:
    return not line.strip() or line.strip() == "super().__init__()"
