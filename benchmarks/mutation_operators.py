"""Makes faulty kernels from right ones: named mutation operators on the syntax tree of a candidate.

An operator takes one place in the tree and gives what could stand there instead, with a note; every (place,
replacement) is one mutant. Nothing here runs a kernel or knows how mutants fare (see `mutants.py`).
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Rewrites = Iterator[tuple[str, ast.AST]]


@dataclass(frozen=True)
class Mutant:
    """A faulty kernel: the code with one place changed. `key` is stable as long as that code is."""

    task_id: str
    operator: str
    line: int
    note: str
    changed: str
    """The text that stood there."""
    code: str

    @property
    def key(self) -> str:
        return f"{self.task_id}/{self.operator}/{hashlib.sha256(self.code.encode()).hexdigest()[:8]}"


@dataclass
class Place:
    """What an operator may know of the place it looks at."""

    function: ast.FunctionDef
    in_kernel: bool
    in_pointer: bool = False
    """Inside the address of a load or store."""
    in_index: bool = False
    """Inside an address, a mask, or an assignment of integers: arithmetic here is not the computation's own."""
    floats: frozenset[str] = frozenset()
    """Names of the kernel that hold floating values."""
    parameters: frozenset[str] = frozenset()
    """Arguments of the kernel that are launched with an attribute of `self`: weights, biases, running statistics."""
    constexprs: frozenset[str] = frozenset()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of forward's arguments in the task as written."""


def mutants(task_id: str, code: str, shapes: Mapping[str, tuple[int, ...]]) -> list[Mutant]:
    """Every mutant of one candidate, each code once, in the order of the source."""
    tree = ast.parse(code)
    for number, node in enumerate(ast.walk(tree)):
        node.number = number  # type: ignore[attr-defined]
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for node, place in _places(tree, shapes):
        for name, operator in OPERATORS.items():
            for note, replacement in operator(node, place):
                changed = ast.unparse(_replaced(tree, node, replacement)) + "\n"
                if changed.strip() != original:
                    was = ast.unparse(node)
                    found.setdefault(changed, Mutant(task_id, name, getattr(node, "lineno", 0), note, was, changed))
    return list(found.values())


def _replaced(tree: ast.Module, node: ast.AST, replacement: ast.AST) -> ast.Module:
    class Swap(ast.NodeTransformer):
        def visit(self, here: ast.AST) -> ast.AST:
            if getattr(here, "number", None) == node.number:  # type: ignore[attr-defined]
                return copy.deepcopy(replacement)
            return self.generic_visit(here)

    return ast.fix_missing_locations(Swap().visit(copy.deepcopy(tree)))


def _places(tree: ast.Module, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[ast.AST, Place]]:
    weights = _launched_with_self(tree)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        if _is_kernel(function):
            place = Place(
                function, True, floats=_float_names(function), constexprs=_constexprs(function),
                parameters=frozenset(weights.get(function.name, ())),
            )
            for statement in function.body:
                yield from _inside(statement, place)
        elif function.name == "forward":
            place = Place(function, False, shapes=shapes)
            for statement in function.body:
                yield from _inside(statement, place)


def _inside(node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, Place]]:
    if isinstance(node, ast.Assign) and place.in_kernel and not is_float(node.value, place.floats):
        place = copy.copy(place)
        place.in_index = True
    yield node, place
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _inside(child, _place_of(child, name, node, place))


def _place_of(child: ast.AST, name: str, parent: ast.AST, place: Place) -> Place:
    memory = is_tl(parent, "load", "store", "atomic_add")
    address = memory and name == "args" and child is parent.args[0]  # type: ignore[attr-defined]
    if address or (isinstance(child, ast.keyword) and child.arg == "mask"):
        inner = copy.copy(place)
        inner.in_pointer, inner.in_index = address or place.in_pointer, True
        return inner
    return place


# What a tree says of itself


def is_tl(node: ast.AST, *names: str) -> bool:
    """Whether the node calls `tl.<one of names>`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "tl"
        and node.func.attr in names
    )


_FLOATING = ("exp", "exp2", "log", "log2", "sqrt", "rsqrt", "sigmoid", "erf", "dot", "cos", "sin", "softmax")
_AS_ITS_ARGUMENTS = ("sum", "max", "min", "maximum", "minimum", "abs", "cumsum", "cumprod")


def is_float(node: ast.AST, floats: frozenset[str]) -> bool:
    """Whether an expression of a kernel holds floating values, as far as its text shows."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "to":
        return any("float" in ast.unparse(argument) for argument in node.args)
    if isinstance(node, ast.Compare | ast.BoolOp) or is_tl(node, "argmax", "argmin", "arange", "program_id", "load"):
        return False
    if is_tl(node, *_FLOATING) or (isinstance(node, ast.Name) and node.id in floats):
        return True
    if is_tl(node, "zeros", "full"):
        return "float" in ast.unparse(node)
    if isinstance(node, ast.Subscript):
        return is_float(node.value, floats)
    if is_tl(node, "where"):
        return any(is_float(value, floats) for value in node.args[1:])  # type: ignore[attr-defined]
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.BinOp | ast.UnaryOp) or is_tl(node, *_AS_ITS_ARGUMENTS):
        return any(is_float(child, floats) for child in ast.iter_child_nodes(node))
    return False


def _float_names(function: ast.FunctionDef) -> frozenset[str]:
    names: set[str] = set()
    for _ in range(2):  # once more for names that a loop carries
        for node in ast.walk(function):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Name) and is_float(node.value, frozenset(names)):  # type: ignore[attr-defined]
                names.add(target.id)
    return frozenset(names)


def _is_kernel(function: ast.FunctionDef) -> bool:
    return any("jit" in ast.unparse(decorator) for decorator in function.decorator_list)


def _constexprs(function: ast.FunctionDef) -> frozenset[str]:
    return frozenset(a.arg for a in function.args.args if a.annotation and "constexpr" in ast.unparse(a.annotation))


def _is_launch(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name)


def _launched_with_self(tree: ast.Module) -> dict[str, set[str]]:
    """Kernel → its arguments that launches fill with an attribute of `self`."""
    names = {f.name: [a.arg for a in f.args.args] for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)}
    found: dict[str, set[str]] = {}
    for call in [node for node in ast.walk(tree) if _is_launch(node)]:
        kernel = call.func.value.id  # type: ignore[attr-defined]
        for parameter, argument in zip(names.get(kernel, ()), call.args, strict=False):  # type: ignore[attr-defined]
            if ast.unparse(argument).startswith("self."):
                found.setdefault(kernel, set()).add(parameter)
    return found


def _parsed(text: str) -> ast.AST:
    return ast.parse(text, mode="eval").body


def _with(node: ast.Call, **changes: ast.AST | None) -> ast.Call:
    """The call with keywords replaced, or taken out where None."""
    kept = [
        ast.keyword(k.arg, changes.get(k.arg, k.value)) for k in node.keywords if changes.get(k.arg, k) is not None
    ]
    return ast.Call(node.func, node.args, kept)


# The operators. Masks and coverage


def mask_dropped(node: ast.AST, place: Place) -> Rewrites:
    if is_tl(node, "load", "store") and any(k.arg == "mask" for k in node.keywords):  # type: ignore[attr-defined]
        yield "without mask", _with(node, mask=None, other=None)  # type: ignore[arg-type]


def mask_off_by_one(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and place.in_index and isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt):
        bound = ast.BinOp(node.comparators[0], ast.Sub(), ast.Constant(1))
        yield "one too few", ast.Compare(node.left, node.ops, [bound])
        yield "one too many", ast.Compare(node.left, [ast.LtE()], node.comparators)


def padding_wrong(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.keyword) and node.arg == "other":
        wrong = "0.0" if "inf" in ast.unparse(node.value) else "1.0"
        yield f"other={wrong}", ast.keyword("other", _parsed(wrong))


def block_not_covering(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel or not isinstance(node, ast.Call):
        return
    if _is_launch(node) and isinstance(node.func.slice, ast.Tuple):  # type: ignore[attr-defined]
        for index, size in enumerate(node.func.slice.elts):  # type: ignore[attr-defined]
            grid = list(node.func.slice.elts)  # type: ignore[attr-defined]
            grid[index] = ast.BinOp(size, ast.Sub(), ast.Constant(1))
            launch = ast.Subscript(node.func.value, ast.Tuple(grid, ast.Load()), ast.Load())  # type: ignore[attr-defined]
            yield "one program too few", ast.Call(launch, node.args, node.keywords)
    name = ast.unparse(node.func)
    if name == "triton.next_power_of_2":
        yield "half the block", ast.BinOp(node, ast.FloorDiv(), ast.Constant(2))
    if name == "triton.cdiv":
        size, block = node.args
        down = ast.BinOp(size, ast.FloorDiv(), block)
        yield "rounded down", ast.Call(_parsed("max"), [ast.Constant(1), down], [])
        twice = ast.BinOp(block, ast.Mult(), ast.Constant(2))
        yield "blocks half as many", ast.Call(node.func, [size, twice], [])


def tail_lost(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.Call) and ast.unparse(node.func) == "range" and len(node.args) == 3:
        start, stop, step = node.args
        shorter = ast.BinOp(ast.BinOp(stop, ast.FloorDiv(), step), ast.Mult(), step)
        yield "loop without its partial block", ast.Call(node.func, [start, shorter, step], [])
        yield "loop without its first block", ast.Call(node.func, [step, stop, step], [])


def program_axis(node: ast.AST, place: Place) -> Rewrites:
    if is_tl(node, "program_id"):
        other = 1 - node.args[0].value if node.args[0].value in (0, 1) else 0  # type: ignore[attr-defined]
        yield f"program_id({other})", ast.Call(node.func, [ast.Constant(other)], [])  # type: ignore[attr-defined]


# Addresses and layouts


def stride_wrong(node: ast.AST, place: Place) -> Rewrites:
    if not (place.in_pointer and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
        return
    if isinstance(node.right, ast.Name):
        yield "stride left out", node.left
        for block in sorted(place.constexprs):
            if node.right.id not in place.constexprs and "_" not in node.right.id.removeprefix("n_"):
                yield f"stride {block}", ast.BinOp(node.left, node.op, ast.Name(block, ast.Load()))


def axis_swapped(node: ast.AST, place: Place) -> Rewrites:
    if not place.in_kernel and _is_launch(node):
        arguments = node.args  # type: ignore[attr-defined]
        for index in range(len(arguments) - 1):
            pair = arguments[index : index + 2]
            if all(_is_stride(a) for a in pair) and _base(pair[0]) == _base(pair[1]):
                swapped = [*arguments[:index], arguments[index + 1], arguments[index], *arguments[index + 2 :]]
                yield "strides swapped", ast.Call(node.func, swapped, node.keywords)  # type: ignore[attr-defined]
    if isinstance(node, ast.keyword) and node.arg == "axis" and isinstance(node.value, ast.Constant):
        yield "other axis", ast.keyword("axis", ast.Constant(1 - node.value.value))
    if place.in_pointer and isinstance(node, ast.Subscript) and ast.unparse(node.slice) in ("(:, None)", ":, None"):
        yield "row as column", ast.Subscript(node.value, _parsed("x[None, :]").slice, ast.Load())  # type: ignore[attr-defined]


def layout_assumed(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    if node.func.attr == "stride" and node.args:
        yield "contiguous assumed", _parsed(f"{_base(node)}.contiguous().stride({ast.unparse(node.args[0])})")
    if node.func.attr == "contiguous":
        yield "contiguous() left out", node.func.value


def shape_baked(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel or not isinstance(node, ast.Attribute) or node.attr != "shape":
        return
    shape = place.shapes.get(ast.unparse(node.value))
    if shape:
        yield "shape as a constant", _parsed(repr(tuple(shape)))


def _is_stride(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stride"


def _base(node: ast.AST) -> str:
    return ast.unparse(node.func.value)  # type: ignore[attr-defined]


# The computation


def _value(node: ast.AST, place: Place) -> bool:
    """Whether the node is arithmetic of the computation itself."""
    return place.in_kernel and not place.in_index and isinstance(node, ast.BinOp) and is_float(node, place.floats)


def term_dropped(node: ast.AST, place: Place) -> Rewrites:
    if _value(node, place):
        yield "right operand left out", node.left  # type: ignore[attr-defined]
        if isinstance(node.op, ast.Add | ast.Mult):  # type: ignore[attr-defined]
            yield "left operand left out", node.right  # type: ignore[attr-defined]


def sign_flipped(node: ast.AST, place: Place) -> Rewrites:
    if _value(node, place) and isinstance(node.op, ast.Add | ast.Sub):  # type: ignore[attr-defined]
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()  # type: ignore[attr-defined]
        yield "sign flipped", ast.BinOp(node.left, other, node.right)  # type: ignore[attr-defined]


def update_lost(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.AugAssign) and is_float(node.value, place.floats):
        yield "overwritten instead of added", ast.Assign([node.target], node.value)
        yield "not added", ast.Pass()
    if is_tl(node, "dot") and len(node.args) == 3:  # type: ignore[attr-defined]
        yield "accumulator overwritten", ast.Call(node.func, node.args[:2], node.keywords)  # type: ignore[attr-defined]


def epsilon_wrong(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value <= 1e-3:
        yield "ten times the epsilon", ast.Constant(node.value * 10)
        yield "no epsilon", ast.Constant(0.0)


def constant_off(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.Constant) and isinstance(node.value, float) and abs(node.value) > 1e-3:
        yield "off by a tenth", ast.Constant(node.value * 1.1)
        yield "off by a thousandth", ast.Constant(node.value * 1.001)


def max_not_subtracted(node: ast.AST, place: Place) -> Rewrites:
    if _value(node, place) and isinstance(node.op, ast.Sub) and "max" in ast.unparse(node.right):  # type: ignore[attr-defined]
        yield "maximum not subtracted", node.left  # type: ignore[attr-defined]


def variance_unstable(node: ast.AST, place: Place) -> Rewrites:
    if (
        place.in_kernel and isinstance(node, ast.Assign) and {"x", "mean"} <= place.floats
        and "centred * centred" in ast.unparse(node.value)
    ):
        text = ast.unparse(node).replace("centred * centred", "x * x") + " - mean * mean"
        yield "E[x²] - E[x]²", ast.parse(text).body[0]


def parameter_ignored(node: ast.AST, place: Place) -> Rewrites:
    read = ast.walk(node.args[0]) if is_tl(node, "load") else ()  # type: ignore[attr-defined]
    if any(isinstance(name, ast.Name) and name.id in place.parameters for name in read):
        zero = ast.BinOp(node, ast.Mult(), ast.Constant(0.0))
        yield "0 for a parameter", zero
        yield "1 for a parameter", ast.BinOp(zero, ast.Add(), ast.Constant(1.0))


def branch_dropped(node: ast.AST, place: Place) -> Rewrites:
    if is_tl(node, "maximum", "minimum"):
        yield "bound left out", node.args[0]  # type: ignore[attr-defined]
    if is_tl(node, "where"):
        yield "always the first branch", node.args[1]  # type: ignore[attr-defined]
        yield "always the second branch", _like(node.args[1], node.args[2])  # type: ignore[attr-defined]


def _like(shape: ast.AST, value: ast.AST) -> ast.AST:
    """`value` with the shape of `shape`, where it may be a plain number."""
    return _parsed(f"({ast.unparse(shape)}) * 0 + ({ast.unparse(value)})") if isinstance(value, ast.Constant) else value


def condition_flipped(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Gt | ast.GtE | ast.LtE):
        yield "condition flipped", ast.Compare(node.left, [ast.Lt()], node.comparators)


_OTHER_FUNCTION = {"exp": "exp2", "log": "log2", "rsqrt": "sqrt", "sum": "max", "max": "min", "min": "max",
                   "maximum": "minimum", "minimum": "maximum", "argmax": "argmin", "cumsum": "cumprod"}


def function_wrong(node: ast.AST, place: Place) -> Rewrites:
    if is_tl(node, *_OTHER_FUNCTION):
        other = _OTHER_FUNCTION[node.func.attr]  # type: ignore[attr-defined]
        yield f"tl.{other}", ast.Call(_parsed(f"tl.{other}"), node.args, node.keywords)  # type: ignore[attr-defined]
    if is_tl(node, "abs", "sqrt"):
        yield "function left out", node.args[0]  # type: ignore[attr-defined]


def count_wrong(node: ast.AST, place: Place) -> Rewrites:
    if _value(node, place) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Name):  # type: ignore[attr-defined]
        if node.right.id in place.floats:  # type: ignore[attr-defined]
            return
        for block in sorted(place.constexprs):
            yield f"divided by {block}", ast.BinOp(node.left, node.op, ast.Name(block, ast.Load()))  # type: ignore[attr-defined]
        less = ast.BinOp(node.right, ast.Sub(), ast.Constant(1))  # type: ignore[attr-defined]
        yield "divided by one less", ast.BinOp(node.left, node.op, less)  # type: ignore[attr-defined]


def atomic_made_plain(node: ast.AST, place: Place) -> Rewrites:
    if is_tl(node, "atomic_add", "atomic_max", "atomic_min"):
        kept = [k for k in node.keywords if k.arg == "mask"]  # type: ignore[attr-defined]
        yield "plain store", ast.Call(_parsed("tl.store"), node.args, kept)  # type: ignore[attr-defined]


# Precision


def precision_lowered(node: ast.AST, place: Place) -> Rewrites:
    if not place.in_kernel:
        return
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "tl.float32":
        yield "accumulates in float16", _parsed("tl.float16")
        yield "accumulates in bfloat16", _parsed("tl.bfloat16")
    if isinstance(node, ast.Assign) and is_float(node.value, place.floats) and not is_tl(node.value, "zeros", "dot"):
        for narrow in ("float16", "bfloat16"):
            text = f"({ast.unparse(node.value)}).to(tl.{narrow}).to(tl.float32)"
            yield f"intermediate in {narrow}", ast.Assign(node.targets, _parsed(text))


def tensor_float(node: ast.AST, place: Place) -> Rewrites:
    if place.in_kernel and isinstance(node, ast.keyword) and node.arg == "input_precision":
        yield "products in TF32", ast.keyword("input_precision", ast.Constant("tf32"))


OPERATORS: Mapping[str, Callable[[ast.AST, Place], Rewrites]] = {
    operator.__name__: operator
    for operator in (
        mask_dropped, mask_off_by_one, padding_wrong, block_not_covering, tail_lost, program_axis, stride_wrong,
        axis_swapped, layout_assumed, shape_baked, term_dropped, sign_flipped, update_lost, epsilon_wrong, constant_off,
        max_not_subtracted, variance_unstable, parameter_ignored, branch_dropped, condition_flipped, function_wrong,
        count_wrong, atomic_made_plain, precision_lowered, tensor_float,
    )
}

PRECISION = frozenset({"precision_lowered", "tensor_float", "variance_unstable", "epsilon_wrong", "constant_off"})
"""Operators whose mutants are close to right: counted apart, because the usual check misses most of them."""

INVISIBLE_TO_INTERPRETER = frozenset({"atomic_made_plain"})
"""What a replay on the CPU computes as if it were right: programs run one at a time. Scored on a GPU only."""
