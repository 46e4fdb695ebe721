"""What kind of mistake a failed case shows, where the facts leave no doubt; and nothing where they do.

Pure functions of a `CaseResult`. Beside the worst element they read `facts["mismatch"]`, which the bench gives where an
output was compared and found wrong (all of one output, the one with the worst element):

    shape            of the candidate's output; `expected_shape` is there only where it differs, and then nothing else
    wrong, elements  how many elements are outside their allowance, of how many
    first, last      flat positions of the first and the last wrong element
    box              for each dimension the first wrong index and one past the last
    unwritten        wrong elements that still hold the pattern that the buffer was filled with beforehand
    permuted         whether the same values stand there in another order
    largest_error    largest |got - expected| divided by the largest |expected|; None where not finite

A missing entry is no evidence. A mistake that fits two kinds is named by the first that fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2, prod
from typing import Any

from tritonrl_core.types import CaseResult, Status, WorstElement

SMALLEST_BLOCK = 16
"""Below this a multiple of a power of two is no sign of a block."""

FEW_DIGITS = 2.0**-6
"""Errors below this share of the largest value are errors of digits, not of the computation's form."""


def explain(result: CaseResult) -> str:
    """One line on a case that did not pass: what the bench says, the worst element, and what the mistake looks like."""
    parts = [result.reason or result.status.value]
    if result.worst is not None and f"{result.worst.got:.6g}" not in result.reason:
        parts.append(element(result.worst))
    if result.status is Status.WRONG:
        parts.append(kind_of_mistake(result.facts.get("mismatch", {})))
    return "; ".join(part for part in parts if part)


def element(worst: WorstElement) -> str:
    """The worst element in words: where, got, expected, allowed."""
    place = f"output {worst.output}[{', '.join(map(str, worst.index))}]"
    return f"worst at {place}: got {worst.got:.6g}, expected {worst.expected:.6g}, allowed ± {worst.allowed:.2g}"


def kind_of_mistake(facts: Mapping[str, Any]) -> str:
    """What the mistake looks like, in words; "" where it could be anything."""
    if "expected_shape" in facts:
        return _shape(facts["shape"], facts["expected_shape"])
    if not facts.get("wrong"):
        return ""
    place = _partial_block(facts)
    if facts.get("unwritten") == facts["wrong"]:
        said = f"never written, or made of what nobody wrote: {facts['wrong']} of {facts['elements']} elements"
        return said + (f" ({place})" if place else "")
    if place:
        return f"last partial block: only elements {place}, are wrong"
    if facts.get("permuted"):
        return "axis or stride: the right values stand in the wrong places"
    return _digits(facts.get("largest_error"))


def _shape(got: list[int], expected: list[int]) -> str:
    if prod(got) == prod(expected) and sorted(got) == sorted(expected):
        return "axis: the dimensions are right and in another order"
    if [size for size in got if size != 1] == [size for size in expected if size != 1]:
        return "shape: a dimension of size 1 is missing or too many"
    return ""


def _partial_block(facts: Mapping[str, Any]) -> str:
    """Where all wrong elements lie, if that is the remainder after the last full block; "" where it is not."""
    shape = facts["shape"]
    for axis, (low, high) in enumerate(facts.get("box", ())):
        block = partial_block(low, shape[axis]) if high == shape[axis] else 0
        if block:
            name = f" along dimension {axis}" if len(shape) > 1 else ""
            return f"{low} to {high - 1} of {shape[axis]}{name}, the remainder after full blocks of {block}"
    first, elements = facts.get("first", 0), facts.get("elements", 0)
    block = partial_block(first, elements)
    if block:
        return f"{first} to {elements - 1} of {elements} in flat order, the remainder after full blocks of {block}"
    return ""


def partial_block(start: int, size: int) -> int:
    """The least block size (a power of two) whose last full block in `size` ends at `start`; 0 if there is none."""
    block = SMALLEST_BLOCK
    while block <= start:
        if start % block == 0 and 0 < size - start < block:
            return block
        block *= 2
    return 0


def _digits(error: float | None) -> str:
    if not error or error >= FEW_DIGITS:
        return ""
    return (
        f"precision: right to about {int(-log2(error))} bits everywhere, so an intermediate in lower precision, "
        "an approximate formula or a constant that is slightly off"
    )
