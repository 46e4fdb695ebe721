"""What a kernel's tensors do not have: `x ** 2`, `x.tanh()`, where `x` is a tensor for certain.

Looks at the installed Triton. An expression counts as a tensor where nothing else can come of it: the result of a
function of `triton.language` that gives one, what is computed from such, and names that are bound to nothing else.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection

from tritonrl_core.syntax import walk
from tritonrl_plugin_funnel.api import language_tensor
from tritonrl_plugin_funnel.source import Source

MAKERS = frozenset({
    "load", "arange", "zeros", "zeros_like", "full", "program_id", "where", "dot", "sum", "max", "min", "exp", "exp2",
    "log", "log2", "sqrt", "rsqrt", "sin", "cos", "abs", "sigmoid", "softmax", "maximum", "minimum", "erf", "floor",
    "ceil", "fma", "cumsum", "broadcast_to", "expand_dims",
})  # fmt: skip
"""Functions of `triton.language` that give a tensor where they are given one, and these always are."""

_NUMBERS_TOO = frozenset({"max", "min", "maximum", "minimum", "abs", "floor", "ceil"})
_OWN = frozenset({"handle", "shape", "numel", "type", "dtype"})
"""Attributes that each tensor gets when it is made."""


def missing_of_tensors(source: Source, kernel: ast.FunctionDef, nodes: Collection[ast.AST]) -> tuple[ast.AST, str]:
    """The first of these nodes that asks a tensor for what it does not have, and what that is; "" where none does."""
    tensor = language_tensor()
    in_vain = [(node, *asked) for node in nodes if (asked := _asked_in_vain(node, source, tensor))]
    tensors = _Tensors(source, kernel) if in_vain else ()  # which takes longer than all else here
    for node, asked_one, reason in in_vain:
        if asked_one in tensors:
            return node, reason
    return kernel, ""


def _asked_in_vain(node: ast.AST, source: Source, tensor: object) -> tuple[ast.expr, str] | None:
    """Who is asked for what no tensor has, and the reason where that is one; None where it is a module, say."""
    match node:
        case ast.Attribute(value=ast.Name(id=name)) if name in source.aliases:
            return None
        case ast.Attribute(value=asked, attr=attribute):
            known = tensor is None or attribute in _OWN or hasattr(tensor, attribute)
            return None if known else (asked, f"a tensor has no attribute {attribute!r}")
        case ast.BinOp(op=ast.Pow(), left=asked) if tensor is not None and not hasattr(tensor, "__pow__"):
            return asked, "a tensor has no **; multiply, or use tl.exp and tl.log"
    return None


class _Tensors:
    """Expressions of one kernel that are tensors for certain."""

    def __init__(self, source: Source, kernel: ast.FunctionDef) -> None:
        self._source = source
        bound = _bindings(kernel)
        self._names = set(bound)
        while True:
            other = {name for name in self._names if not all(value in self for value in bound[name])}
            if not other:
                return
            self._names -= other

    def __contains__(self, node: object) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self._names
            case ast.BinOp(left=left, right=right):
                return left in self or right in self
            case ast.UnaryOp(op=ast.USub(), operand=inner) | ast.Subscript(value=inner):
                return inner in self
            case ast.Call(func=ast.Attribute(attr="to", value=inner)) if inner in self:
                return True
            case ast.Call(func=function, args=args):
                module, _, name = self._source.dotted(function).rpartition(".")
                made = module == "triton.language" and name in MAKERS
                return made and (name not in _NUMBERS_TOO or any(arg in self for arg in args))
        return False


def _bindings(kernel: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """Names that only plain assignments bind, and all that is assigned to them. What `+=` leaves is what it was."""
    values: dict[str, list[ast.expr]] = {}
    stores = Counter(node.arg for node in walk(kernel.args) if isinstance(node, ast.arg))
    for node in walk(kernel):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name)):
                stores[name] -= 1
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                stores[name] += 1
    return {name: found for name, found in values.items() if stores[name] == len(found)}
