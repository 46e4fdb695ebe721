"""Which parts of a source are certain to run, which names it binds, and what its imports stand for.

Reads generously: what might be skipped (a branch, a loop's body, anything under `try`, what comes after a conditional
return) is not certain, and what might bind a name binds it. So what is called certain here is.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence

from tritonrl_core.syntax import children, walk

DYNAMIC = frozenset({"exec", "eval", "globals", "locals", "vars", "setattr", "__import__", "import_module"})
"""With one of these in the source, names say nothing for certain."""

_MODULE_NAMES = frozenset(dir(builtins)) | {"__file__", "__builtins__", "__class__", "__path__", "__annotations__"}
_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)
_WITHS = (ast.With, ast.AsyncWith)
_ALL_CHILDREN = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.BinOp, ast.Assign, ast.Expr, ast.keyword)
"""The most frequent nodes, all of whose children run where they do."""
_BIND_NOTHING = (ast.Constant, ast.Call, ast.BinOp, ast.Assign, ast.Expr, ast.Subscript, ast.Tuple, ast.keyword)
_NO_IMPORT = (*_BIND_NOTHING, ast.Attribute)


def certain_nodes(statements: Sequence[ast.stmt]) -> list[ast.AST]:
    """Statements and expressions that are evaluated when these statements are run, unless something raises before; in
    the order of the text."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = _straight(statements)[::-1]  # type: ignore[assignment]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += _children(node)[::-1]
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
    if isinstance(node, _ALL_CHILDREN):
        return children(node)
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


def bound_names(nodes: Iterable[ast.AST]) -> frozenset[str] | None:
    """Every name that any of a source's nodes may bind, builtins included; None where that can't be told."""
    found = set(_MODULE_NAMES)
    for node in nodes:
        if isinstance(node, _BIND_NOTHING):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in DYNAMIC:
                return None
            continue
        match node:
            case ast.Attribute(attr=name) if name in DYNAMIC or name == "__dict__":
                return None
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                found.update(names)
            case ast.alias(name="*"):
                return None
            case ast.alias(name=name, asname=alias):
                found.add(alias or name.split(".")[0])
            case _ if type(node).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
                found.add(node.name)  # type: ignore[attr-defined]
    return frozenset(found)


def aliases(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Name → dotted name that it stands for, of imports whose name nothing else in the source binds."""
    found: dict[str, set[str]] = {}
    rebound: set[str] = set()
    for node in nodes:
        if isinstance(node, _NO_IMPORT) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
            continue
        match node:
            case ast.Import():
                for alias in node.names:
                    short = alias.asname or alias.name.split(".")[0]
                    found.setdefault(short, set()).add(alias.name if alias.asname else short)
            case ast.ImportFrom(module=str(module), level=0):
                for alias in node.names:
                    found.setdefault(alias.asname or alias.name, set()).add(f"{module}.{alias.name}")
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                rebound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                rebound.add(name)
    return {name: next(iter(meant)) for name, meant in found.items() if len(meant) == 1 and name not in rebound}
