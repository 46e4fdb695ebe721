"""A fusion as data: what it starts from, its operators in order, and what it gives. No text, no tensors.

Values are numbered: first those that the head makes (a matrix product, say), then one for each step.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum"})


@dataclass(frozen=True, slots=True)
class Step:
    """One operator applied to earlier values.

    `parameters` says of each tensor that the operator takes beside them whether it is a parameter of the module (else
    it is an argument of `forward`); `constants` are the numbers written into it.
    """

    operator: str
    operands: tuple[int, ...]
    parameters: tuple[bool, ...] = ()
    constants: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """A fusion: a frame (rows, a product, a convolution, planes of an image), a head of it, steps and outputs.

    `sizes` is which of the frame's sets of dimensions it has.
    """

    frame: str
    head: str
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    sizes: int = 0

    @property
    def operators(self) -> tuple[str, ...]:
        return tuple(step.operator for step in self.steps)

    def uses(self, value: int) -> int:
        """How often a value is read: by steps, and as an output."""
        return sum(step.operands.count(value) for step in self.steps) + self.outputs.count(value)


def key(graph: Graph, heads: int, *, exact: bool = False) -> str:
    """A hash of the computation, the same in every process and on every machine; `heads` is the number of values that
    the head makes. Constants, sizes and the order of commutative operands do not count, unless `exact`."""
    described = [f"{graph.frame}/{graph.head}/{number}" for number in range(heads)]
    for step in graph.steps:
        operands = [described[operand] for operand in step.operands]
        if step.operator.split("_")[0] in COMMUTATIVE and not exact:
            operands.sort()
        own = [step.parameters, step.constants] if exact else []
        described.append(hashed([step.operator, operands, *own]))
    return hashed([*(described[output] for output in graph.outputs), graph.sizes if exact else ""])


def hashed(parts: list[object]) -> str:
    """A hash of plain data, the same everywhere."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:24]
