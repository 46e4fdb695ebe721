"""The funnel's rules on the source, without running it: mistakes that are certain to end a candidate when it runs.

A filter for mistakes, not a guard against cheats: what a rule can't tell for certain passes, and the bench decides by
what the code does. That it is Python, defines `ModelNew` and launches a kernel from it, the baseline has said before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from tritonrl_core.syntax import parse, shared_tree, walk
from tritonrl_core.types import Objection, Stage, Status, Task
from tritonrl_plugin_funnel.api import launch_problem, missing_name
from tritonrl_plugin_funnel.certain import Kinds
from tritonrl_plugin_funnel.source import Source, launched_name
from tritonrl_plugin_funnel.tensors import missing_of_tensors
from tritonrl_plugin_funnel.unrecordable import IMPORTS, NOT_ITS_OWN, reason_for, reason_for_call

FILENAME = "<candidate>"
"""As the baseline calls it: then both read the same tree."""


def tree_of(code: str) -> ast.Module | None:
    """A candidate's tree, the same as long as somebody holds it; None where it is no Python, or too long to be read."""
    try:
        return shared_tree(code, FILENAME)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def source_objection(task: Task, code: str) -> Objection | None:
    """The first certain mistake in a candidate's source; None where there is none, or it is no Python at all."""
    tree = tree_of(code)
    if tree is None:
        return None
    source = Source(tree)
    return (
        unrecordable(source)
        or wrong_signature(source, task)
        or unbound_name(source)
        or wrong_launch(source)
        or unknown_api(source)
        or asked_of_a_tensor(source)
    )


def unrecordable(source: Source) -> Objection | None:
    """An import or call that can't be recorded, where it is certain to be reached."""
    for node in source.executed:
        for name, reason in _listed(node, source) if isinstance(node, _MAY_BE_LISTED) else ():
            if reason:
                status = Status.REJECTED if reason in NOT_ITS_OWN else Status.UNSUPPORTED
                return Objection(status, Stage.AST, f"line {_line(node)}: {name}: {reason}")
    return None


_MAY_BE_LISTED = (ast.Call, ast.Import, ast.ImportFrom)


def _listed(node: ast.AST, source: Source) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(f"import {alias.name}", reason_for(alias.name, IMPORTS)) for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [(f"import {node.module}", reason_for(node.module, IMPORTS))]
    name = source.dotted(node.func) if isinstance(node, ast.Call) else ""
    return [(f"{name}()", reason_for_call(name))] if name else []


def wrong_signature(source: Source, task: Task) -> Objection | None:
    """A `ModelNew` that can't be made, or can't be called, with what the reference's `Model` gets."""
    for method, giver in (("__init__", "get_init_inputs"), ("forward", "get_inputs")):
        function, count = source.method(method), _returned_counts(task.source).get(giver)
        if function is None or count is None:
            continue
        least, most = _accepts(function)
        if not least <= count <= most:
            takes = str(least) if least == most else f"{least} to {most}" if most < _ANY else f"at least {least}"
            reason = f"ModelNew.{method} takes {takes} arguments, and the reference's Model gets {count}"
            return Objection(Status.RUNTIME_ERROR, Stage.AST, f"line {function.lineno}: {reason}")
    return None


def unbound_name(source: Source) -> Objection | None:
    """A name that nothing in the source binds, used where it is certain to be looked up."""
    if source.bound is None:
        return None
    for status, kinds in _certain(source):
        for node in kinds.get(ast.Name, ()):
            if node.id not in source.bound:
                hint = f"; add `{_IMPORT_OF[node.id]}`" if node.id in _IMPORT_OF else ""
                reason = f"the name {node.id!r} is used, and nothing defines or imports it{hint}"
                return _mistake(status, node, reason)
    return None


_IMPORT_OF = {
    "tl": "import triton.language as tl",
    "triton": "import triton",
    "torch": "import torch",
    "nn": "import torch.nn as nn",
    "F": "import torch.nn.functional as F",
    "math": "import math",
}


def wrong_launch(source: Source) -> Objection | None:
    """A launch whose arguments don't fit the kernel's."""
    kernels = {kernel.name: kernel for kernel in source.kernels}
    for call in source.executed_kinds.get(ast.Call, ()):
        name = launched_name(call)
        reason = launch_problem(call, kernels[name]) if name in kernels else ""
        if reason:
            return _mistake(Status.RUNTIME_ERROR, call, reason)
    return None


def unknown_api(source: Source) -> Objection | None:
    """A name that torch or triton does not have, where it is certain to be looked up."""
    for status, kinds in _certain(source):
        for node in kinds.get(ast.Attribute, ()):
            missing = missing_name(source.dotted(node))
            if missing:
                return _mistake(status, node, f"there is no {missing}")
    return None


def asked_of_a_tensor(source: Source) -> Objection | None:
    """An operator or attribute that tensors do not have, used on one in a kernel."""
    for kernel, nodes in source.kernel_nodes:
        node, reason = missing_of_tensors(source, kernel, nodes)
        if reason:
            return _mistake(Status.BUILD_ERROR, node, reason)
    return None


def _certain(source: Source) -> Iterator[tuple[Status, Kinds]]:
    """What is certain to run and what is certain to be compiled, with what becomes of a mistake there."""
    yield Status.RUNTIME_ERROR, source.executed_kinds
    yield Status.BUILD_ERROR, source.compiled_kinds


def _mistake(status: Status, node: ast.AST, reason: str) -> Objection:
    compiled = False if status is Status.BUILD_ERROR else None
    return Objection(status, Stage.AST, f"line {_line(node)}: {reason}", compiled=compiled)


_ANY = 10_000


def _accepts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """Fewest and most positional arguments beside `self`."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - 1
    if positional < 0:  # `def forward(*args)` or none at all
        return (0, _ANY) if arguments.vararg else (_ANY, _ANY)
    least = max(0, positional - len(arguments.defaults))
    return least, _ANY if arguments.vararg else positional


@lru_cache(maxsize=512)
def _returned_counts(source: str) -> dict[str, int]:
    """How many values each function of the reference returns, where its text says so."""
    try:
        body = parse(source).body
    except SyntaxError:
        return {}
    found = {}
    for function in [node for node in body if isinstance(node, ast.FunctionDef)]:
        returns = [node for node in walk(function) if isinstance(node, ast.Return)]
        if len(returns) == 1 and isinstance(returns[0].value, ast.List | ast.Tuple):
            values = returns[0].value.elts
            if not any(isinstance(value, ast.Starred) for value in values):
                found[function.name] = len(values)
    return found


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))
