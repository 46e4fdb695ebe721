"""Python text to syntax trees, from many threads, and all nodes of a tree.

CPython keeps one recursion counter of its parser for all threads (3.11.7: "AST constructor recursion depth mismatch"),
so all trees of the project are built here, one at a time.
"""

from __future__ import annotations

import ast
import threading
from functools import cache, lru_cache
from types import CodeType
from typing import Any

_lock = threading.Lock()


def parse(source: str, filename: str = "<unknown>") -> ast.Module:
    """`ast.parse`, from any thread. Raises what that raises: `SyntaxError`, `ValueError`, `RecursionError`."""
    with _lock:
        return ast.parse(source, filename)


@lru_cache(maxsize=128)
def shared_tree(source: str, filename: str = "<unknown>") -> ast.Module:
    """As `parse`, for those who only read: rules that look at one candidate after another get the same tree."""
    return parse(source, filename)


def walk(node: ast.AST) -> list[ast.AST]:
    """As `ast.walk`, without contexts and operators; in a third of its time, and once for a whole tree.

    Give it no module that is changed afterwards.
    """
    return _module_nodes(node) if isinstance(node, ast.Module) else _nodes(node)


@lru_cache(maxsize=128)
def _module_nodes(tree: ast.Module) -> list[ast.AST]:
    return _nodes(tree)


_PLAIN = frozenset({
    "ctx", "op", "ops", "id", "attr", "arg", "kind", "type_comment", "asname", "module", "level", "conversion",
    "simple", "is_async", "n", "s",
})  # fmt: skip
"""Fields that hold text, numbers, contexts or operators, whatever the node."""


def _nodes(root: ast.AST) -> list[ast.AST]:
    found = [root]
    for node in found:  # which grows meanwhile
        found += children(node)
    return found


def children(node: ast.AST) -> list[ast.AST]:
    """As `ast.iter_child_nodes`, without contexts and operators."""
    found: list[ast.AST] = []
    kind: Any = type(node)
    for name in _fields(kind):
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """Fields of a kind of node that may hold nodes."""
    return () if kind is ast.Constant else tuple(name for name in kind._fields if name not in _PLAIN)


def compile_tree(tree: ast.Module, filename: str) -> CodeType:
    """`compile` of a module's tree, from any thread."""
    with _lock:
        code: CodeType = compile(tree, filename, "exec")
        return code
