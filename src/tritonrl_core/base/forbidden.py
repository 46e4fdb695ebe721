"""Functions of Triton's library that would do a task's whole work, found in a candidate's source.

Where softmax is asked, `tl.softmax` is no answer (`Policy.forbidden_builtins`). Goes by names, whatever they were
imported as; what is reached by other means than a name, the recording refuses.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from tritonrl_core.syntax import walk


def forbidden_builtin(tree: ast.Module, names: Collection[str]) -> str:
    """Which of these functions of `triton.language` the source uses, with its line; "" for none."""
    modules = set(_triton_modules(tree)) if names else set()
    for node in walk(tree) if names else ():
        if isinstance(node, ast.ImportFrom) and _is_triton(node.module):
            used = next((alias.name for alias in node.names if alias.name in names), "")
        elif isinstance(node, ast.Attribute) and node.attr in names and _root(node.value) in modules:
            used = node.attr
        else:
            continue
        if used:
            return f"line {node.lineno}: tl.{used} is not allowed: the task is the algorithm itself"
    return ""


def _triton_modules(tree: ast.Module) -> Iterator[str]:
    """Names that triton, its language and what else is in it go by."""
    for node in walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.asname or "triton" for alias in node.names if _is_triton(alias.name))
        elif isinstance(node, ast.ImportFrom) and _is_triton(node.module):
            yield from (alias.asname or alias.name for alias in node.names)


def _is_triton(module: str | None) -> bool:
    return (module or "").split(".")[0] == "triton"


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
