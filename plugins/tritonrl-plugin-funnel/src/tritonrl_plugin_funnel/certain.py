"""Which parts of a source are certain to run, which names it binds, and what its imports stand for.

Reads generously: what might be skipped (a branch, a loop's body, anything under `try`, what comes after a conditional
return) is not certain, and what might bind a name binds it. So what is called certain here is.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tritonrl_core.syntax import children, walk

DYNAMIC = frozenset({"exec", "eval", "globals", "locals", "vars", "setattr", "__import__", "import_module"})
"""With one of these in the source, names say nothing for certain."""

_BY_ATTRIBUTE = DYNAMIC | {"__dict__"}

_MODULE_NAMES = frozenset(dir(builtins)) | {"__file__", "__builtins__", "__class__", "__path__", "__annotations__"}
_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)
_WITHS = (ast.With, ast.AsyncWith)
_NO_CHILDREN = frozenset({ast.Name, ast.Constant, ast.alias, ast.Pass})
_ALL_CHILDREN = frozenset({
    ast.Call, ast.Attribute, ast.BinOp, ast.Assign, ast.Expr, ast.keyword, ast.Subscript, ast.Tuple, ast.List,
    ast.Return, ast.UnaryOp, ast.AugAssign, ast.Slice, ast.Import, ast.ImportFrom,
})  # fmt: skip
"""The most frequent nodes that have any, all of whose children run where they do."""
_FUNCTIONS_AND_CLASSES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NAME_IN = {
    **dict.fromkeys(_FUNCTIONS_AND_CLASSES, "name"), ast.arg: "arg", ast.ExceptHandler: "name", ast.MatchAs: "name",
    ast.MatchStar: "name", ast.MatchMapping: "rest",
    **{getattr(ast, kind): "name" for kind in ("TypeVar", "ParamSpec", "TypeVarTuple") if hasattr(ast, kind)},
}  # fmt: skip
"""Nodes that bind one name, or none, and where they have it."""

Kinds = Mapping[type[ast.AST], Sequence[Any]]
"""Nodes by what they are, in the order in which they were found."""


def by_kind(nodes: Iterable[ast.AST]) -> Kinds:
    """A source's nodes sorted once, because each rule asks for some kinds of them only."""
    found: dict[type[ast.AST], list[Any]] = {}
    for node in nodes:
        kind = type(node)
        if kind in found:
            found[kind].append(node)
        else:
            found[kind] = [node]
    return found


def certain_nodes(statements: Sequence[ast.stmt]) -> list[ast.AST]:
    """Statements and expressions that are evaluated when these statements are run, unless something raises before; in
    the order of the text."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = _straight(statements)[::-1]  # type: ignore[assignment]
    while waiting:
        node = waiting.pop()
        found.append(node)
        kind = type(node)
        if kind not in _NO_CHILDREN:
            waiting += (children(node) if kind in _ALL_CHILDREN else _children(node))[::-1]
    return found


def _straight(statements: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements up to the first that leaves, or may leave."""
    for index, statement in enumerate(statements):
        inside = walk(statement) if isinstance(statement, _BRANCHES + _WITHS) else [statement]
        if any(isinstance(node, _LEAVES) for node in inside):
            return list(statements[: index + 1])
    return list(statements)


def _children(node: ast.AST) -> list[ast.AST]:
    """The children of a node that are certain to run where the node is."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *(k.value for k in node.keywords), *_straight(node.body)]
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return []
        case ast.Try() | ast.TryStar():
            return []
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            return [node.test]
        case ast.For() | ast.AsyncFor():
            return [node.iter]
        case ast.Match():
            return [node.subject]
        case ast.BoolOp():
            return node.values[:1]  # type: ignore[return-value]
        case ast.Compare():
            return [node.left, node.comparators[0]]
        case ast.AnnAssign():
            return [node.value] if node.value is not None else []
        case ast.With() | ast.AsyncWith():
            # A context manager may swallow what the body raises, so only its own expression is certain to matter.
            return [item.context_expr for item in node.items]
    return children(node)


def bound_names(kinds: Kinds) -> frozenset[str] | None:
    """Every name that any of a source's nodes may bind, builtins included; None where that can't be told."""
    read = (node.id for node in kinds.get(ast.Name, ()) if type(node.ctx) is ast.Load)
    attributes = [node.attr for node in kinds.get(ast.Attribute, ())]
    imported = {alias.asname or alias.name.split(".")[0] for alias in kinds.get(ast.alias, ())}
    if not DYNAMIC.isdisjoint(read) or not _BY_ATTRIBUTE.isdisjoint(attributes) or "*" in imported:
        return None
    declared = (name for kind in (ast.Global, ast.Nonlocal) for node in kinds.get(kind, ()) for name in node.names)
    return _MODULE_NAMES.union(imported, _stored(kinds), _named(kinds, _NAME_IN), declared)


def aliases(kinds: Kinds) -> dict[str, str]:
    """Name → dotted name that it stands for, of imports whose name nothing else in the source binds."""
    found: dict[str, set[str]] = {}
    for node in kinds.get(ast.Import, ()):
        for alias in node.names:
            short = alias.asname or alias.name.split(".")[0]
            found.setdefault(short, set()).add(alias.name if alias.asname else short)
    for node in kinds.get(ast.ImportFrom, ()):
        for alias in node.names if node.module and not node.level else ():
            found.setdefault(alias.asname or alias.name, set()).add(f"{node.module}.{alias.name}")
    rebound = _stored(kinds) | _named(kinds, (ast.arg, *_FUNCTIONS_AND_CLASSES))
    return {name: next(iter(meant)) for name, meant in found.items() if len(meant) == 1 and name not in rebound}


def _stored(kinds: Kinds) -> set[str]:
    """Names that are assigned to, or deleted."""
    return {node.id for node in kinds.get(ast.Name, ()) if type(node.ctx) is not ast.Load}


def _named(kinds: Kinds, wanted: Iterable[type[ast.AST]]) -> set[str]:
    """Names that nodes of these kinds bind."""
    names = (getattr(node, _NAME_IN[kind]) for kind in wanted for node in kinds.get(kind, ()))
    return {name for name in names if name}
