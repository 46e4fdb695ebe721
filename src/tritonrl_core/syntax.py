"""Python text to syntax trees, from many threads, and all nodes of a tree.

CPython keeps one recursion counter of its parser for all threads (3.11.7: "AST constructor recursion depth mismatch"),
so all trees of the project are built here, one at a time.
"""

from __future__ import annotations

import ast
import threading
from contextlib import suppress
from functools import cache
from types import CodeType
from typing import Any
from weakref import WeakValueDictionary

_lock = threading.Lock()
_trees: WeakValueDictionary[tuple[str, str], ast.Module] = WeakValueDictionary()

TRIES = 5
"""How often a source is read again where a library that knows nothing of the lock reads (PyTorch, as it loads)."""

LONGEST = 200_000
"""Characters of a candidate's source that are read: parsing takes time that is the candidate's to spend, up to here."""


def parse(source: str, filename: str = "<unknown>") -> ast.Module:
    """`ast.parse`, from any thread. Raises what that raises: `SyntaxError`, `ValueError`, `RecursionError`."""
    with _lock:
        for _ in range(TRIES):
            with suppress(SystemError):  # a library's own parsing in another thread, where it is loaded just now
                return ast.parse(source, filename)
        return ast.parse(source, filename)


def shared_tree(source: str, filename: str = "<unknown>") -> ast.Module:
    """As `parse`, for those who only read: while one of them holds a source's tree, the others get the same.

    Nothing else keeps it. Trees that lived on were moved to the collector's oldest generation, some 500 objects each,
    and every 300 of them made it look at all that PyTorch has loaded: 0.2 s in which no thread runs.
    Raises what `parse` raises, and `ValueError` for more than `LONGEST` characters.
    """
    if len(source) > LONGEST:
        raise ValueError(f"the code has {len(source)} characters; at most {LONGEST} are read")
    tree = _trees.get((source, filename))
    if tree is None:
        tree = _trees[source, filename] = parse(source, filename)
    return tree


def walk(node: ast.AST) -> list[ast.AST]:
    """As `ast.walk`, without contexts and operators; in a third of its time, and once for each node that it is given.

    Give it nothing that is changed afterwards.
    """
    kept = vars(node)
    if _INSIDE not in kept:
        found = [node]
        for one in found:  # which grows meanwhile
            found += children(one)
        kept[_INSIDE] = found[1:]  # not the node itself, which would keep itself alive
    return [node, *kept[_INSIDE]]


def children(node: ast.AST) -> list[ast.AST]:
    """As `ast.iter_child_nodes`, without contexts and operators. The list is kept: do not change it, nor the node."""
    kept = vars(node)
    found: list[ast.AST] | None = kept.get(_CHILDREN)
    if found is None:
        found = kept[_CHILDREN] = []
        kind: Any = type(node)
        for name in _fields(kind):
            value = kept.get(name)
            if isinstance(value, list):
                found += [part for part in value if isinstance(part, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


_INSIDE, _CHILDREN = "tritonrl: inside", "tritonrl: children"
"""Where a node keeps what was found: no names that anything else could ask for."""

_PLAIN = frozenset({
    "ctx", "op", "ops", "id", "attr", "arg", "kind", "type_comment", "asname", "module", "level", "conversion",
    "simple", "is_async", "n", "s",
})  # fmt: skip
"""Fields that hold text, numbers, contexts or operators, whatever the node."""


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """Fields of a kind of node that may hold nodes."""
    return () if kind is ast.Constant else tuple(name for name in kind._fields if name not in _PLAIN)


def compile_tree(tree: ast.Module, filename: str) -> CodeType:
    """`compile` of a module's tree, from any thread."""
    with _lock:
        code: CodeType = compile(tree, filename, "exec")
        return code
