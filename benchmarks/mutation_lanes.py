"""Shows that what a faulty load reads beyond its mask reaches no store and no other lane: the mutant computes the same.

Follows the loaded value through the kernel's text. Each name carries the conditions (`cols < n_cols`) outside of which
it holds what must not matter. A sum, a scan, an address or a branch that such a name enters ends the proof; `tl.where`
under the same conditions ends the harm; a product with something that is 0 there ends it for other finite padding.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mutation_operators import Mutant, is_tl

Conditions = frozenset[str]
NOWHERE: Conditions = frozenset()

_ACROSS = (
    "sum", "max", "min", "argmax", "argmin", "cumsum", "cumprod", "sort", "reduce", "associative_scan", "xor_sum",
    "histogram", "gather", "trans", "permute", "reshape", "view", "join", "split", "flip", "topk",
)  # fmt: skip
"""What mixes lanes or moves them to other places."""


class _LostError(Exception):
    """The value got somewhere that this analysis does not follow, or out."""


def unused_lanes(mutant: Mutant, original: str) -> str:
    """The argument, "" where there is none. For loads without a mask, with other padding, or with one lane too many."""
    try:
        return _argument(mutant, original)
    except _LostError:
        return ""


def _argument(mutant: Mutant, original: str) -> str:
    kernel, statement = _statement_at(ast.parse(original), mutant.line)
    load = _only_load(statement)
    conditions = _changed_conditions(mutant, load, kernel)
    flow = _Flow(kernel, finite=mutant.operator == "padding_wrong")
    flow.start(_target(statement), statement.value, load, conditions)
    flow.follow()
    where = " and ".join(sorted(conditions))
    return f"What is read where `{where}` does not hold reaches no store and no other lane."


def _statement_at(tree: ast.Module, line: int) -> tuple[ast.FunctionDef, ast.Assign | ast.AugAssign]:
    for function in [node for node in tree.body if isinstance(node, ast.FunctionDef)]:
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AugAssign) and node.lineno <= line <= (node.end_lineno or 0):
                return function, node
    raise _LostError


def _only_load(statement: ast.Assign | ast.AugAssign) -> ast.Call:
    loads = [node for node in ast.walk(statement.value) if is_tl(node, "load")]
    if len(loads) != 1:
        raise _LostError
    return loads[0]  # type: ignore[return-value]


def _target(statement: ast.Assign | ast.AugAssign) -> str:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    if not isinstance(target, ast.Name):
        raise _LostError
    return target.id


def _changed_conditions(mutant: Mutant, load: ast.Call, kernel: ast.FunctionDef) -> Conditions:
    all_of_them = conditions_of(_keyword(load, "mask"), _masks(kernel))
    if mutant.operator in ("mask_dropped", "padding_wrong"):
        return all_of_them
    if mutant.operator == "mask_off_by_one" and mutant.note == "one too many":
        changed = conditions_of(ast.parse(mutant.changed, mode="eval").body, {})
        if changed <= conditions_of(_keyword(load, "mask"), {}):
            return changed
    raise _LostError


def conditions_of(mask: ast.AST | None, masks: dict[str, ast.AST]) -> Conditions:
    """The comparisons that a mask is the conjunction of, without broadcasting; raises `_LostError` for all else."""
    if isinstance(mask, ast.Name) and mask.id in masks:
        return conditions_of(masks[mask.id], masks)
    if isinstance(mask, ast.BinOp) and isinstance(mask.op, ast.BitAnd):
        return conditions_of(mask.left, masks) | conditions_of(mask.right, masks)
    if isinstance(mask, ast.Subscript):
        return conditions_of(mask.value, masks)
    if isinstance(mask, ast.Compare):
        return frozenset([ast.unparse(_Flat().visit(ast.parse(ast.unparse(mask), mode="eval").body))])
    raise _LostError


class _Flat(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return self.visit(node.value)


def _masks(kernel: ast.FunctionDef) -> dict[str, ast.AST]:
    """Names that are assigned once, to a comparison or a conjunction of such."""
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(kernel):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    texts = {name: {ast.unparse(value) for value in values} for name, values in found.items()}
    return {name: values[0] for name, values in found.items() if len(texts[name]) == 1}


def _keyword(call: ast.Call, name: str) -> ast.AST | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


class _Flow:
    """Names that hold harm, with the conditions outside of which they do."""

    def __init__(self, kernel: ast.FunctionDef, finite: bool) -> None:
        self.kernel, self.finite = kernel, finite
        self.masks = _masks(kernel)
        self.harm: dict[str, Conditions] = {}
        self.load: ast.Call | None = None
        self.given = NOWHERE
        self.zero = self._zero_padded()

    def start(self, name: str, value: ast.AST, load: ast.Call, conditions: Conditions) -> None:
        self.load, self.given = load, conditions
        self.harm[name] = self._of(value)

    def follow(self) -> None:
        """Once more than names could need to hand harm on; raises `_LostError` where it gets out."""
        for _ in range(4):
            for statement in _statements(self.kernel.body):
                self._step(statement)

    def _step(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign | ast.AugAssign):
            harm = self._of(statement.value)
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if harm and not isinstance(target, ast.Name):
                raise _LostError
            if harm:
                name = target.id  # type: ignore[union-attr]
                self.harm[name] = self.harm.get(name, NOWHERE) | harm
        elif isinstance(statement, ast.Expr) and is_tl(statement.value, "store"):
            self._stored(statement.value)  # type: ignore[arg-type]
        else:
            for child in ast.iter_child_nodes(statement):
                if isinstance(child, ast.expr) and self._of(child):
                    raise _LostError

    def _stored(self, store: ast.Call) -> None:
        if self._of(store.args[0]):
            raise _LostError
        harm = self._of(store.args[1])
        mask = _keyword(store, "mask")
        if harm and (mask is None or not harm <= conditions_of(mask, self.masks)):
            raise _LostError

    def _of(self, node: ast.AST) -> Conditions:
        """The conditions outside of which this expression holds harm; raises `_LostError` where it spreads."""
        if node is self.load:
            return self.given
        if isinstance(node, ast.Name):
            return self.harm.get(node.id, NOWHERE)
        if is_tl(node, "load", "store") and self._parts(node):
            raise _LostError
        if is_tl(node, "where"):
            return self._where(node)  # type: ignore[arg-type]
        if is_tl(node, "dot") or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
            return self._product(node)
        if is_tl(node, *_ACROSS) and self._parts(node):
            raise _LostError
        return self._parts(node)

    def _parts(self, node: ast.AST) -> Conditions:
        return frozenset().union(*(self._of(child) for child in ast.iter_child_nodes(node)))

    def _where(self, node: ast.Call) -> Conditions:
        condition, first, second = node.args
        if self._of(condition):
            return self._parts(node)
        try:
            safe = conditions_of(condition, self.masks)
        except _LostError:
            safe = NOWHERE
        harm = self._of(first)
        return (NOWHERE if harm <= safe else harm) | self._of(second)

    def _product(self, node: ast.AST) -> Conditions:
        """Zero times other finite padding is zero. What a `tl.dot` sums over must be taken away like this."""
        operands = node.args if isinstance(node, ast.Call) else [node.left, node.right]  # type: ignore[attr-defined]
        left, right, *rest = operands
        harm = [self._of(left), self._of(right)]
        if self.finite:
            harm = [mine - self._zeros(other) for mine, other in zip(harm, (right, left), strict=True)]
        if isinstance(node, ast.Call):
            summed = self._conditions(left) & self._conditions(right)
            if (harm[0] | harm[1]) & summed or not summed:
                raise _LostError
        return harm[0] | harm[1] | frozenset().union(*(self._of(part) for part in rest))

    def _zero_padded(self) -> dict[str, Conditions]:
        """Names loaded with padding 0 → the conditions outside of which they are 0."""
        found: dict[str, Conditions] = {}
        for node in ast.walk(self.kernel):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                loads = [part for part in ast.walk(node.value) if is_tl(part, "load")]
                plain = is_tl(node.value, "load") or ast.unparse(node.value).endswith(".to(tl.float32)")
                if len(loads) == 1 and plain and _is_zero(_keyword(loads[0], "other")):  # type: ignore[arg-type]
                    found[node.targets[0].id] = conditions_of(_keyword(loads[0], "mask"), self.masks)  # type: ignore[arg-type]
        return found

    def _zeros(self, node: ast.AST) -> Conditions:
        """Conditions outside of which an operand is 0, unless it is the one that was changed."""
        names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in self.zero]
        return self.zero[names[0]] if len(names) == 1 and names[0] not in self.harm else NOWHERE

    def _conditions(self, node: ast.AST) -> Conditions:
        names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in self.zero]
        return self.zero[names[0]] if len(names) == 1 else NOWHERE


def _is_zero(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        for part in ("body", "orelse"):
            yield from _statements(getattr(statement, part, []))
