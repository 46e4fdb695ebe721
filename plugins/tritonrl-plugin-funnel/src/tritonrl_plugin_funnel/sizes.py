"""Which case is the tiny one: the smallest declared size where that is much smaller than the task as written."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache

from tritonrl_core.syntax import parse
from tritonrl_core.types import CaseRequest, InputCase, Program, Task

WORTH = 8
"""The least ratio of sizes at which another recording pays. Below it the tiny case is the task as written, which the
full check asks for as well and which is then run once."""


def tiny_case(task: Task, program: Program) -> InputCase:
    """The case of the compile stage and the tiny run."""
    [written] = program.cases(CaseRequest(count=1))
    [small] = program.cases(CaseRequest(count=1, small=True))
    return small if shrinks(task.source, small.dims) >= WORTH else written


def shrinks(source: str, dims: Mapping[str, int]) -> float:
    """By how much the product of these constants is smaller than in the source; 1 where they are not there."""
    own = _constants(source)
    ratio = 1.0
    for name, size in dims.items():
        ratio *= own.get(name, size) / max(size, 1)
    return ratio


@lru_cache(maxsize=512)
def _constants(source: str) -> dict[str, int]:
    try:
        body = parse(source).body
    except SyntaxError:
        return {}
    return {
        node.targets[0].id: node.value.value
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, int)
    }
