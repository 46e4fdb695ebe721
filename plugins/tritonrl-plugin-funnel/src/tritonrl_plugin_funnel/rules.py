"""The funnel's rules on the source, without running it: mistakes that are certain to end a candidate when it runs.

A filter for mistakes, not a guard against cheats: what a rule can't tell for certain passes, and the bench decides by
what the code does. That it is Python, defines `ModelNew` and launches a kernel from it, the baseline has said before.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from tritonrl_core.types import Objection, Stage, Status, Task
from tritonrl_plugin_funnel.certain import aliases, bound_names, certain_nodes, dotted
from tritonrl_plugin_funnel.unrecordable import CALLS, IMPORTS, reason_for

Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_objection(task: Task, code: str) -> Objection | None:
    """The first certain mistake in a candidate's source; None where there is none, or it is no Python at all."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    rules: list[Callable[[], Objection | None]] = [
        lambda: _unrecordable(tree),
        lambda: _signature(tree, task),
        lambda: _unbound(tree),
    ]
    for rule in rules:
        objection = rule()
        if objection is not None:
            return objection
    return None


def _unrecordable(tree: ast.Module) -> Objection | None:
    """An import or call that can't be recorded, where it is certain to be reached."""
    known = aliases(tree)
    for node in _executed(tree):
        for name, reason in _listed(node, known):
            return Objection(Status.UNSUPPORTED, Stage.AST, f"line {_line(node)}: {name}: {reason}")
    return None


def _listed(node: ast.AST, known: dict[str, str]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        named = [(alias.name, reason_for(alias.name, IMPORTS)) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        named = [(node.module, reason_for(node.module, IMPORTS))]
    elif isinstance(node, ast.Call):
        name = dotted(node.func, known)
        named = [(f"{name}()", reason_for(name, CALLS))]
    else:
        named = []
    yield from ((f"import {name}" if isinstance(node, ast.Import | ast.ImportFrom) else name, reason)
                for name, reason in named if reason)


def _signature(tree: ast.Module, task: Task) -> Objection | None:
    """A `ModelNew` that can't be made, or can't be called, with what the reference's `Model` gets."""
    model = _only_class(tree, "ModelNew")
    if model is None:
        return None
    for method, source in (("__init__", "get_init_inputs"), ("forward", "get_inputs")):
        function, count = _own_method(model, method), _returned_count(task.source, source)
        if function is None or count is None:
            continue
        least, most = _accepts(function)
        if not least <= count <= most:
            takes = str(least) if least == most else f"{least} to {most}" if most < _ANY else f"at least {least}"
            reason = f"ModelNew.{method} takes {takes} arguments, and the reference's Model gets {count}"
            return Objection(Status.RUNTIME_ERROR, Stage.AST, f"line {function.lineno}: {reason}")
    return None


def _unbound(tree: ast.Module) -> Objection | None:
    """A name that nothing in the source binds, used where it is certain to be looked up."""
    bound = bound_names(tree)
    if bound is None:
        return None
    for node in _executed(tree):
        if isinstance(node, ast.Name) and node.id not in bound:
            return Objection(Status.RUNTIME_ERROR, Stage.AST, _unbound_reason(node))
    for kernel in _launched_kernels(tree):
        for node in certain_nodes(kernel.body):
            if isinstance(node, ast.Name) and node.id not in bound:
                return Objection(Status.BUILD_ERROR, Stage.AST, _unbound_reason(node), compiled=False)
    return None


_IMPORT_OF = {
    "tl": "import triton.language as tl",
    "triton": "import triton",
    "torch": "import torch",
    "nn": "import torch.nn as nn",
    "F": "import torch.nn.functional as F",
    "math": "import math",
}


def _unbound_reason(node: ast.Name) -> str:
    hint = f"; add `{_IMPORT_OF[node.id]}`" if node.id in _IMPORT_OF else ""
    return f"line {node.lineno}: the name {node.id!r} is used, and nothing defines or imports it{hint}"


def _executed(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that are certain to run when the module is imported and `ModelNew` is made and called."""
    yield from certain_nodes(tree.body)
    model = _only_class(tree, "ModelNew")
    for method in ("__init__", "forward"):
        function = _own_method(model, method) if model is not None else None
        if function is not None:
            yield from certain_nodes(function.body)


def _launched_kernels(tree: ast.Module) -> list[Function]:
    """`@triton.jit` functions of the module that `ModelNew` is certain to launch as `name[grid](...)`."""
    launched = {
        node.func.value.id
        for node in _executed(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name)
    }
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in launched]
    names = [function.name for function in functions]
    return [
        function
        for function in functions
        if names.count(function.name) == 1 and [ast.unparse(d) for d in function.decorator_list] == ["triton.jit"]
    ]


def _only_class(tree: ast.Module, name: str) -> ast.ClassDef | None:
    """The one class of that name, at the top level and undecorated; None where there is another, or none."""
    same = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name]
    return same[0] if len(same) == 1 and same[0] in tree.body and not same[0].decorator_list else None


def _own_method(model: ast.ClassDef, name: str) -> Function | None:
    """The one method of that name in the class's own body, undecorated; None where that can't be told."""
    same = [node for node in model.body if isinstance(node, Function) and node.name == name]
    assigned = any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(model))
    return same[0] if len(same) == 1 and not same[0].decorator_list and not assigned else None


_ANY = 10_000


def _accepts(function: Function) -> tuple[int, int]:
    """Fewest and most positional arguments beside `self`."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - 1
    if positional < 0:  # `def forward(*args)` or none at all
        return (0, _ANY) if arguments.vararg else (_ANY, _ANY)
    least = max(0, positional - len(arguments.defaults))
    return least, _ANY if arguments.vararg else positional


def _returned_count(source: str, function: str) -> int | None:
    """How many values the reference's `get_inputs` or `get_init_inputs` returns; None where its text does not say."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            returns = [n for n in ast.walk(node) if isinstance(n, ast.Return)]
            if len(returns) == 1 and isinstance(returns[0].value, ast.List | ast.Tuple):
                values = returns[0].value.elts
                return None if any(isinstance(value, ast.Starred) for value in values) else len(values)
    return None


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))
