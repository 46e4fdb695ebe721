"""Which functions of a source are Triton kernels, where they are launched, and whether a class can get there.

Goes by names, read generously: a name that may be a kernel is one, an expression that may launch one does, and code
that a name may lead to is reached. So a "no" is certain, and a "yes" is not.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from tritonrl_core.syntax import walk

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Binding = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr

_DYNAMIC = {"getattr", "setattr", "globals", "locals", "vars", "eval", "exec", "__import__", "import_module"}
_BASES = {"Module", "object"}


def is_dynamic(tree: ast.Module) -> bool:
    """Whether the source reaches things by other means than their names, so that names say nothing."""
    return any(isinstance(node, ast.Name) and node.id in _DYNAMIC for node in walk(tree))


def defines(tree: ast.Module, name: str) -> bool:
    """Whether the module may bind a name at its top level (also under `if`, `try`, `with` and `for`)."""
    for node in _top_level(tree):
        if isinstance(node, Scope) and node.name == name:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and {name, "*"} & {a.asname or a.name for a in node.names}:
            return True
        if not isinstance(node, Scope) and any(isinstance(n, ast.Name) and n.id == name for n in walk(node)):
            return True
    return False


def has_method(tree: ast.Module, class_name: str, method: str) -> bool:
    """Whether a class may have a method: its own, one of a base that is not plain `Module`, or one set from outside."""
    classes = {node.name: node for node in walk(tree) if isinstance(node, ast.ClassDef)}
    waiting, seen = [class_name], set()
    while waiting:
        name = waiting.pop()
        node = classes.get(name)
        if node is None:
            return True  # a class from elsewhere, or none at all: unknown
        if node.decorator_list or node.keywords or any(_binds(inner, method) for inner in walk(node)):
            return True
        seen.add(name)
        bases = [(_dotted(base) or [""])[-1] for base in node.bases]
        waiting += [base for base in bases if base not in seen | _BASES]
    return any(isinstance(node, ast.Attribute) and node.attr == method and _is_stored(node) for node in walk(tree))


def find_kernels(tree: ast.Module) -> set[str]:
    """Names of functions that `triton.jit` (or one like it) decorates or is called on."""
    modules, jit = _triton_names(tree)
    found: set[str] = set()
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef) and any(_is_jit(item, modules, jit) for item in node.decorator_list):
            found.add(node.name)
        if isinstance(node, Binding) and _mentions_jit(node.value, modules, jit):
            found |= _targets(node)
    return found


def _mentions_jit(value: ast.expr | None, modules: Collection[str], jit: Collection[str]) -> bool:
    return value is not None and any(_is_jit(node, modules, jit) for node in walk(value))


def find_launches(tree: ast.Module, kernels: Collection[str]) -> list[ast.AST]:
    """Expressions that may launch one of the kernels: `kernel[grid]`, called now or later, and `kernel.run(...)`."""
    carriers = _carriers(tree, kernels)
    passed = carriers | _parameters(tree)
    found: list[ast.AST] = []
    for node in walk(tree):
        if isinstance(node, ast.Subscript) and _names_in(node.value) & carriers:
            found.append(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript | ast.Attribute):
            held = _names_in(node.func.value)
            starts = isinstance(node.func, ast.Subscript) or node.func.attr in ("run", "warmup", "__getitem__")
            if starts and (held & passed or not held):
                found.append(node)
    return found


def reachable_from(tree: ast.Module, class_name: str, wanted: Collection[ast.AST]) -> bool:
    """Whether a class, or what the module does when it is imported, can get to one of these expressions."""
    ids = set(map(id, wanted))
    scopes: dict[str, list[ast.AST]] = {}
    for node in walk(tree):
        if isinstance(node, Scope):
            scopes.setdefault(node.name, []).append(node)
    if class_name not in scopes:
        return True
    waiting = [*scopes[class_name], *(node for node in _top_level(tree) if not isinstance(node, Scope))]
    seen: set[int] = set()
    while waiting:
        here = waiting.pop()
        for node in walk(here) if id(here) not in seen else ():
            if id(node) in ids:
                return True
            seen.add(id(node))
            for name in _mentions(node):
                waiting += scopes.pop(name, [])
    return False


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, those inside blocks too."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, Scope):
            inner = ast.iter_child_nodes(node)
            waiting += [child for child in inner if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)]


def _triton_names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Names that triton and what is in it go by, and names that `triton.jit` itself goes by."""
    modules, jit = {"triton"}, set()
    for node in walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or "triton" for alias in node.names if alias.name.split(".")[0] == "triton"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "triton":
            modules |= {alias.asname or alias.name for alias in node.names}
            jit |= {"jit" if alias.name == "*" else alias.asname or alias.name for alias in node.names
                    if alias.name in ("jit", "*")}  # fmt: skip
        elif isinstance(node, ast.Assign) and _dotted(node.value)[-1:] == ["jit"]:
            jit |= _targets(node)
    return modules, jit


def _is_jit(node: ast.AST, modules: Collection[str], jit: Collection[str]) -> bool:
    while isinstance(node, ast.Call):
        node = node.func
    name = _dotted(node)
    return bool(name) and ((name[0] in modules and name[-1] == "jit") or (len(name) == 1 and name[0] in jit))


def _carriers(tree: ast.Module, kernels: Collection[str]) -> set[str]:
    """Names that may hold a kernel: its own, and whatever is bound to something in which a carrier is mentioned."""
    flows: dict[str, set[str]] = {}
    for node in walk(tree):
        if isinstance(node, Binding) and node.value is not None:
            sources, targets = _names_in(node.value), _targets(node)
        elif isinstance(node, ast.For | ast.comprehension):
            sources, targets = _names_in(node.iter), _names_in(node.target)
        elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            sources, targets = _names_in(node.value), {"<returned>"}
        else:
            continue
        for source in sources:
            flows.setdefault(source, set()).update(targets)
    if _flood(flows, kernels) & {"<returned>"}:
        # Some function gives a kernel back: what any function of this source gives back may be one.
        for node in walk(tree):
            if isinstance(node, ast.FunctionDef):
                flows.setdefault("<returned>", set()).add(node.name)
    return _flood(flows, kernels)


def _flood(flows: dict[str, set[str]], start: Collection[str]) -> set[str]:
    reached, waiting = set(start), list(start)
    while waiting:
        for name in flows.get(waiting.pop(), set()) - reached:
            reached.add(name)
            waiting.append(name)
    return reached


def _parameters(tree: ast.Module) -> set[str]:
    return {node.arg for node in walk(tree) if isinstance(node, ast.arg)}


def _targets(node: Binding) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {name for target in targets for name in _names_in(target)}


def _names_in(node: ast.AST) -> set[str]:
    """Names and attribute names that an expression mentions, but for `self`."""
    return {name for inner in walk(node) for name in _mentions(inner)} - {"self"}


def _mentions(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    return (node.attr,) if isinstance(node, ast.Attribute) else ()


def _dotted(node: ast.AST) -> list[str]:
    """`a.b.c` as its parts; [] for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name == name
    return isinstance(node, Binding) and name in _targets(node)


def _is_stored(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)
