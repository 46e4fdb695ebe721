"""What a reference computes, as a key: the same for two references that differ in names, shapes and constants.

Two computations are the same if their outputs come from the same operators applied to the same operands, however the
lines are ordered and however views are spelled. Whether a task may be used is decided elsewhere (`decontaminate`).
"""

from __future__ import annotations

from dataclasses import replace

from tritonrl_core.tasks.trace import Trace, Value, trace
from tritonrl_core.types import Task, content_key

SPELLING = frozenset({
    "view", "reshape", "_unsafe_view", "_reshape_alias", "clone", "contiguous", "alias", "detach", "lift_fresh",
    "lift_fresh_copy", "to", "_to_copy", "copy", "unsqueeze", "squeeze", "expand", "convert_element_type",
    "broadcast_in_dim",
})  # fmt: skip
"""Operators that move, cast or copy without computing: how a computation is spelled, not what it is."""

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "logical_and", "logical_or", "bitwise_and", "bitwise_or"})


def graph_key(task: Task) -> str:
    """A key of the task's computation, equal for two tasks that differ only in names, shapes and constants.

    The number of dimensions of each result and yes-or-no arguments count; numbers do not, axes among them, nor whether
    the module is in training mode. Raises `TaskError` where the reference does not run on fake tensors.
    """
    return canonical_key(trace(replace(task, mode="eval"), decompose=True))


def canonical_key(traced: Trace) -> str:
    """Hash of the computation that leads to the outputs; what does not lead there is left out."""
    described: dict[int, object] = {}
    borders: dict[int, int] = {}

    def operand(value: Value | bool | str) -> object:
        if not isinstance(value, Value):
            return value
        if value.number not in described:
            # Inputs and parameters alike, numbered by first use: a weight that is passed in is still a weight.
            number = borders.setdefault(value.number, len(borders))
            described[value.number] = ["border", number, len(value.shape), value.dtype.is_floating_point]
        return described[value.number]

    for operation in traced.operations:
        operands = [operand(value) for value in operation.operands]
        for place, result in enumerate(operation.results):
            if operation.name in SPELLING and operands:
                described[result.number] = operands[-1] if operation.name == "copy" else operands[0]
                continue
            ordered = sorted(operands, key=str) if operation.name in COMMUTATIVE else operands
            described[result.number] = content_key(operation.name, place, len(result.shape), ordered)
    return content_key(*(operand(value) for value in traced.outputs))
