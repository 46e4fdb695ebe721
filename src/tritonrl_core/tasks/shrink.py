"""The same task at a smaller size, for what must run on a CPU: its integer constants divided by a power of two.

Only what the source names as a constant can shrink; sizes written into calls stay as they are.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import product
from math import lcm, prod

from tritonrl_core.bench.references.constants import integer_constants, rebind
from tritonrl_core.errors import TaskError
from tritonrl_core.syntax import parse
from tritonrl_core.tasks.facts import task_facts
from tritonrl_core.types import Task

KEPT = 16
"""Constants up to this are kept: kernel sizes, strides, groups, heads."""

SLACK = 4
"""Bytes of an element: for the bound that takes no trace."""

FLOORS = (KEPT, 8, 4)
"""The least that other constants become; smaller where that does not do."""

FACTORS = (2, 4, 8, 16, 32, 64, 128, 256)


def affordable(task: Task, flops: float, nbytes: float) -> Task | None:
    """The task itself, or the largest smaller one that needs at most `flops` and `nbytes`; None where there is none.

    A task that cannot be traced is given back as it is, since nothing is known of its size.
    """
    if _surely_small(task.source, min(flops, nbytes)):
        return task
    try:
        facts = task_facts(task)
    except TaskError:
        return task
    if facts.flops <= flops and facts.eager_bytes <= nbytes:
        return task
    for floor, factor in product(FLOORS, FACTORS):
        smaller = divided(task, factor, floor)
        try:
            facts = task_facts(smaller)
        except TaskError:  # the constants do not fit together at this size
            continue
        if facts.flops <= flops and facts.eager_bytes <= nbytes:
            return smaller
    return None


def _surely_small(source: str, limit: float) -> bool:
    """Whether even the product of all integers in a source is small: no tensor and no sum is longer. Saves a trace."""
    numbers = [node.value for node in ast.walk(parse(source)) if isinstance(node, ast.Constant)]
    return SLACK * prod(abs(number) for number in numbers if type(number) is int and number) <= limit


def divided(task: Task, factor: int, floor: int = KEPT) -> Task:
    """The task with all constants above `KEPT`, and the values they may take, divided by `factor`, to `floor` at least.

    What a kept constant divides (channels by their groups), it still divides afterwards.
    """
    tree = spelled_out(parse(task.source))
    constants = integer_constants(ast.unparse(tree))
    kept = [value for value in constants.values() if 1 < value <= KEPT]

    def smaller(value: int) -> int:
        step = lcm(*(divisor for divisor in kept if value % divisor == 0))
        return max(value // factor // step, -(-floor // step)) * step if value > KEPT else value

    large = [name for name, value in constants.items() if value > KEPT]
    rebind(tree, {name: smaller(constants[name]) for name in large})
    vary = {name: tuple(map(smaller, values)) if name in large else values for name, values in task.vary.items()}
    return replace(task, source=ast.unparse(tree), vary=vary)


def spelled_out(tree: ast.Module) -> ast.Module:
    """`height = width = 128` and `D, H, W = 24, 32, 32` at module level as one assignment a name, in place."""
    body: list[ast.stmt] = []
    for node in tree.body:
        body += _one_by_one(node) if isinstance(node, ast.Assign) else [node]
    tree.body = body
    return tree


def _one_by_one(node: ast.Assign) -> list[ast.stmt]:
    value, target = node.value, node.targets[0]
    if isinstance(value, ast.Constant) and len(node.targets) > 1:
        pairs: list[tuple[ast.expr, ast.expr]] = [(name, value) for name in node.targets]
    elif isinstance(value, ast.Tuple) and isinstance(target, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts, strict=True))
    else:
        return [node]
    if not all(isinstance(name, ast.Name) and isinstance(own, ast.Constant) for name, own in pairs):
        return [node]
    return [ast.copy_location(ast.Assign([name], own), node) for name, own in pairs]
