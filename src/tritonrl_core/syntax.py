"""Python text to syntax trees, from many threads.

CPython keeps one recursion counter of its parser for all threads (3.11.7: "AST constructor recursion depth mismatch"),
so all trees of the project are built here, one at a time.
"""

from __future__ import annotations

import ast
import threading
from types import CodeType

_lock = threading.Lock()


def parse(source: str, filename: str = "<unknown>") -> ast.Module:
    """`ast.parse`, from any thread. Raises what that raises: `SyntaxError`, `ValueError`, `RecursionError`."""
    with _lock:
        return ast.parse(source, filename)


def compile_tree(tree: ast.Module, filename: str) -> CodeType:
    """`compile` of a module's tree, from any thread."""
    with _lock:
        code: CodeType = compile(tree, filename, "exec")
        return code
