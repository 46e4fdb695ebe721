"""Integer constants of a reference's source: read them, and re-bind them consistently.

A constant is a module-level assignment of an integer literal to one name (`ROWS = 48`). Constants that are computed
from others (`HIDDEN = 4 * DIM`) follow by themselves when the source is executed. No torch here.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from tritonrl_core.syntax import parse


def integer_constants(source: str) -> dict[str, int]:
    """Names and values of the module's integer constants, in order. Raises `SyntaxError`."""
    return {name: value for name, value, _ in _assignments(parse(source))}


def rebind(tree: ast.Module, dims: Mapping[str, int]) -> list[str]:
    """Replace in `tree` the values of the constants named in `dims`; line numbers stay. Returns the names not found."""
    missing = set(dims)
    for name, _, node in _assignments(tree):
        if name in dims:
            node.value = ast.copy_location(ast.Constant(dims[name]), node.value or node)
            missing.discard(name)
    ast.fix_missing_locations(tree)
    return sorted(missing)


def _assignments(tree: ast.Module) -> list[tuple[str, int, ast.Assign | ast.AnnAssign]]:
    found: list[tuple[str, int, ast.Assign | ast.AnnAssign]] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        value = _integer(node.value)
        if isinstance(target, ast.Name) and value is not None:
            found.append((target.id, value, node))
    return found


def _integer(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _integer(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None
