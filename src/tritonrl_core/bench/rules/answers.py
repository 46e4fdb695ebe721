"""Answers that Python computed: what a launch plan takes from the values of the inputs.

A program that reads values back is recorded on other values, too; its integers stay as they were, because lengths come
from integers (what may follow from those is `sizing`'s). Between the two plans nothing may differ but numbers that are
passed on as they were read: each must be one element of the inputs, in both recordings the same one. Which kernel is
launched, over which grid, on which tensors and in which order can spell an answer as well as a number can.

Runs in the trusted parent, on plans that have been checked. What a recording says of itself is not used: it has the
values, and may have computed anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tritonrl_core.bench.plan.schema import Kernel, Launch, LaunchPlan, Step, Tune
from tritonrl_core.bench.record.planner import first_difference
from tritonrl_core.bench.record.request import RecordRequest, TensorSpec, specs_in

LITERAL = re.compile(r"\b0x[0-9A-Fa-f]+\b|(?<![\w.%#])-?\d+\.\d+(?:e[+-]?\d+)?|(?<![\w.%#])-?\d+(?![\w.])")
"""Numbers in TTIR: bits, decimals, integers; not those in names and types."""

MOST_READ = 256
"""Different numbers that one plan may pass on."""

MOST_UNCLEAR = 8
"""Numbers that may be one of several elements. Where inputs hold few different values, some element fits any number."""

_LOCATION = re.compile(r"^#loc.*$|\bloc\((?:[^()]|\([^()]*\))*\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Given:
    """The values of a case as they were sent to a recording: one flat tensor for each that it was given."""

    tensors: Sequence[torch.Tensor]

    @property
    def has_lengths(self) -> bool:
        """Whether there are integers that lengths may be read from, beside other data."""
        return self._has_integers and not self.only_integers

    @property
    def only_integers(self) -> bool:
        """Whether integers are all there is: then they are the data."""
        return self._has_integers and not any(t.is_floating_point() or t.is_complex() for t in self.tensors)

    @property
    def _has_integers(self) -> bool:
        return any(_is_whole(tensor.dtype) for tensor in self.tensors)

    def holds(self, *readings: float) -> bool:
        """Whether one of the values is one of these."""
        return any(bool(_where(tensor, readings).any()) for tensor in self.tensors)

    def places(self, mine: Sequence[float], others: Given, theirs: Sequence[float]) -> int:
        """How many elements are one of `mine` here and one of `theirs` among the other values."""
        pairs = zip(self.tensors, others.tensors, strict=True)
        return sum(int((_where(one, mine) & _where(other, theirs)).sum()) for one, other in pairs)


def _where(tensor: torch.Tensor, readings: Sequence[float]) -> torch.Tensor:
    found = torch.zeros(tensor.shape, dtype=torch.bool)
    for reading in () if tensor.is_complex() else readings:
        found |= tensor.isnan() if reading != reading else tensor.double() == reading
    return found


def readings(written: str) -> tuple[float, ...]:
    """The values that MLIR writes so: with six digits, or as bits."""
    if not written.startswith("0x"):
        return float(written), float(np.float32(written))
    kind = {4: np.float16, 8: np.float32, 16: np.float64}.get(len(written) - 2)
    return () if kind is None else (float(np.array(int(written, 16), f"u{(len(written) - 2) // 2}").view(kind)),)


def given(request: RecordRequest, values: bytes) -> Given:
    """Cut the bytes that went with a request into its tensors."""
    arguments = request.arguments
    specs = [*specs_in(arguments.forward), *specs_in(arguments.init), *request.state.values()]
    tensors, place = [], 0
    for spec in specs:
        tensors.append(_flat(spec, values[place : place + spec.nbytes]))
        place += spec.nbytes
    return Given(tensors)


def with_other_values(request: RecordRequest, values: bytes, others: bytes) -> bytes:
    """`others`, but with the integers of `values`."""
    arguments = request.arguments
    parts, place = [], 0
    for spec in [*specs_in(arguments.forward), *specs_in(arguments.init), *request.state.values()]:
        source = values if _is_whole(getattr(torch, spec.dtype)) else others
        parts.append(source[place : place + spec.nbytes])
        place += spec.nbytes
    return b"".join(parts)


def _is_whole(dtype: torch.dtype) -> bool:
    return not dtype.is_floating_point and not dtype.is_complex and dtype is not torch.bool


def _flat(spec: TensorSpec, data: bytes) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    whole = len(data) // dtype.itemsize * dtype.itemsize
    return torch.frombuffer(bytearray(data[:whole]), dtype=dtype) if whole else torch.empty(0, dtype=dtype)


def computed_in_python(one: LaunchPlan, other: LaunchPlan, values: Given, others: Given) -> str:
    """What of `one` Python computed from the values that it was recorded on, in words; "" for nothing.

    `other` is the plan of the same program on other values.
    """
    mine, theirs = _Scalars(one), _Scalars(other)
    if mine.rest != theirs.rest:
        difference, line = first_difference(mine.rest, theirs.rest)
        where = f"line {line}: " if line else ""
        return f"{where}what it launches depends on the values of its inputs, which Python read: {difference}"
    differing = [pair for pair in zip(mine.found, theirs.found, strict=True) if not pair[0].same_as(pair[1])]
    kinds = {(number.readings, again.readings): number for number, again in differing}
    if len(kinds) > MOST_READ:
        return f"{len(kinds)} numbers that Python read from the inputs go into launches; at most {MOST_READ} may"
    places = {kind: values.places(kind[0], others, kind[1]) for kind in kinds}
    for kind, number in kinds.items():
        if not places[kind]:
            return number.story
    unclear = [number for number, again in differing if places[number.readings, again.readings] > 1]
    several = sum(count > 1 for count in places.values()) > 1
    return unclear[0].story if several and len(unclear) > MOST_UNCLEAR else ""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number that a plan hands over, and what it may have been read as."""

    value: bool | int | float | str
    where: str
    line: int

    @property
    def readings(self) -> tuple[float, ...]:
        found = readings(self.value) if isinstance(self.value, str) else (self.value,)
        # Always the same NaN: numbers are told apart by these, and one NaN is no other's equal.
        return tuple(math.nan if reading != reading else reading for reading in found)

    def same_as(self, other: Scalar) -> bool:
        """Whether it is the same number, NaN being the same as NaN."""
        return repr(self.value) == repr(other.value)

    @property
    def story(self) -> str:
        return f"line {self.line}: a number that Python computed from the inputs' values goes into {self.where}"


class _Scalars:
    """A plan taken apart: the numbers that it hands over, in order, and the `rest`, with zeros in their places."""

    def __init__(self, plan: LaunchPlan) -> None:
        self.found: list[Scalar] = []
        self.rest = replace(
            plan,
            kernels=tuple(map(self._kernel, plan.kernels)),
            prologue=tuple(self._step(step, plan) for step in plan.prologue),
            steps=tuple(self._step(step, plan) for step in plan.steps),
            outputs=self._taken(plan.outputs, "the output", 0),
            notes=(),
        )

    def _kernel(self, kernel: Kernel) -> Kernel:
        where = f"the text of kernel {kernel.name}"
        text = without_locations(kernel.ttir)
        self.found += [Scalar(number, where, kernel.line) for number in LITERAL.findall(text)]
        constants = self._taken(kernel.constants, where, kernel.line)
        return replace(kernel, ttir=LITERAL.sub("#", text), constants=constants)

    def _step(self, step: Step, plan: LaunchPlan) -> Any:
        if isinstance(step, Tune):
            variants = tuple(tuple(self._step(part, plan) for part in variant) for variant in step.variants)
            return replace(step, variants=variants)
        if isinstance(step, Launch):
            return replace(step, args=self._taken(step.args, f"kernel {plan.kernels[step.kernel].name}", step.line))
        args, kwargs = self._taken((step.args, dict(step.kwargs)), step.name, step.line)
        return replace(step, args=args, kwargs=kwargs)

    def _taken(self, value: Any, where: str, line: int) -> Any:
        """The value with its numbers noted and zeros of their types for them; tensors are no numbers."""
        if isinstance(value, Mapping):
            return {key: self._taken(part, where, line) for key, part in sorted(value.items())}
        if isinstance(value, tuple):
            return tuple(self._taken(part, where, line) for part in value)
        if not isinstance(value, bool | int | float):
            return value
        self.found.append(Scalar(value, where, line))
        return type(value)()


def without_locations(ttir: str) -> str:
    """A kernel's text without the places in the source that its operations come from."""
    return _LOCATION.sub("", ttir)
