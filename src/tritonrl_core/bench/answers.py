"""Answers that Python computed: numbers in a launch plan that depend on the values of the inputs.

A program that reads values back is recorded on other values, too. What differs between its plans came from the values
by way of Python: a length may, because a launch is sized by it; a result may not. Lengths come from integers, so where
integers are given the program is recorded a third time, with the integers as they were and all else another: then
nothing may differ. Numbers that are read and passed on unchanged are fine. A number may stand in a launch's arguments
and grid, in the place of a tensor, among a kernel's constants, or in its text.

Runs in the trusted parent, on plans that have been checked. What a recording says of itself is not used: it has the
values, and may have computed anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tritonrl_core.bench.plan import AtenCall, Descriptor, Kernel, Launch, LaunchPlan, TensorRef, every_step, tensors_in
from tritonrl_core.bench.record_request import RecordRequest, TensorSpec, specs_in

_LITERAL = re.compile(r"\b0x[0-9A-Fa-f]+\b|(?<![\w.%#])-?\d+\.\d+(?:e[+-]?\d+)?|(?<![\w.%#])-?\d+(?![\w.])")
"""Numbers in TTIR: bits, decimals, integers; not those in names and types."""

MOST_LENGTHS = 256
"""Integers of one plan that may follow from integers of the inputs: some for each length that a program may read."""

MOST_LITERALS = 16
"""Decimals that kernels may hold which are launched for some lengths only."""

_LOCATION = re.compile(r"^#loc.*$|\bloc\((?:[^()]|\([^()]*\))*\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Given:
    """The values of a case as they were sent to a recording: one flat tensor for each that it was given."""

    tensors: Sequence[torch.Tensor]

    @property
    def has_lengths(self) -> bool:
        """Whether there are integers that lengths may be read from."""
        return any(_is_whole(tensor.dtype) for tensor in self.tensors)

    def holds(self, value: float) -> bool:
        """Whether one of the values is this one."""
        return any(bool((tensor.double() == value).any()) for tensor in self.tensors if not tensor.is_complex())

    def holds_written(self, text: str) -> bool:
        """Whether one of the values is this one, as MLIR writes it: with six digits, or its bits."""
        if not text.startswith("0x"):
            return self.holds(float(text)) or self.holds(float(np.float32(text)))
        kind = {4: np.float16, 8: np.float32, 16: np.float64}.get(len(text) - 2)
        return kind is not None and self.holds(float(np.array(int(text, 16), f"u{(len(text) - 2) // 2}").view(kind)))


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


def computed_in_python(one: LaunchPlan, other: LaunchPlan, values: Given, *, lengths: bool) -> str:
    """Which number of `one` Python computed from the values that it was recorded on, in words; "" for none.

    `other` is the plan of the same program on other values. `lengths` says whether integers may differ, and the number
    of launches with them.
    """
    mine, theirs = list(_numbers(one)), list(_numbers(other))
    if [(n.where, type(n.value)) for n in mine] == [(n.where, type(n.value)) for n in theirs]:
        other_values = [n for n, again in zip(mine, theirs, strict=True) if n.value != again.value]
    elif lengths:
        # Other lengths are another number of launches: what counts is what the other plan has nowhere.
        there = {(type(n.value), n.value) for n in theirs}
        other_values = [n for n in mine if (type(n.value), n.value) not in there]
    else:
        return "what it launches depends on the values of its inputs, which Python read"
    sizes: set[int] = set()
    for number in other_values:
        if isinstance(number.value, int) and lengths:
            sizes.add(number.value)
        elif not values.holds(number.value):
            return f"line {number.line}: a number that Python computed from the inputs' values goes into {number.where}"
    if len(sizes) > MOST_LENGTHS:
        return f"{len(sizes)} numbers that Python computed from the inputs' values go into launches; that is no sizing"
    for kernel, counterpart in zip(one.kernels, other.kernels, strict=False):
        if _written_into(kernel, counterpart, values, lengths=lengths):
            return f"line {kernel.line}: the text of kernel {kernel.name} depends on the inputs' values, by Python"
    return _in_more_kernels(one, other, values)


def _in_more_kernels(one: LaunchPlan, other: LaunchPlan, values: Given) -> str:
    """Whether kernels that the other plan has no counterpart of are full of numbers that it has nowhere."""
    known = {text for kernel in other.kernels for text in _LITERAL.findall(kernel.ttir)}
    more = one.kernels[len(other.kernels) :]
    found = {text for kernel in more for text in _LITERAL.findall(kernel.ttir) if "." in text or text.startswith("0x")}
    new = [text for text in found - known if not values.holds_written(text)]
    if len(new) <= MOST_LITERALS:
        return ""
    return f"line {more[0].line}: kernels that only these lengths lead to hold {len(new)} numbers of their own"


def _written_into(kernel: Kernel, other: Kernel, values: Given, *, lengths: bool) -> bool:
    """Whether one kernel's text holds a number that the other's does not, and that was not simply read."""
    if kernel.ttir == other.ttir:
        return False
    mine, theirs = (_LITERAL.sub("#", _LOCATION.sub("", part.ttir)) for part in (kernel, other))
    if not lengths and mine != theirs:
        return True
    known = set(_LITERAL.findall(_LOCATION.sub("", other.ttir)))
    found = set(_LITERAL.findall(_LOCATION.sub("", kernel.ttir))) - known
    if lengths:
        # Another length is another block size: integers may differ all over, but no other number.
        found = {text for text in found if "." in text or text.startswith("0x")}
        found -= {f"{float(value):e}" for value in _plain(kernel.constants)}
    return not all(values.holds_written(text) for text in found)


@dataclass(frozen=True, slots=True)
class _Number:
    value: int | float
    where: str
    line: int


def _numbers(plan: LaunchPlan) -> Iterator[_Number]:
    for launch in every_step(plan, prologue=True):
        if not isinstance(launch, Launch):
            continue
        kernel = plan.kernels[launch.kernel]
        where = f"kernel {kernel.name}"
        scalars = [arg for arg in launch.args if isinstance(arg, int | float)]
        places = [value for ref in tensors_in(launch) for value in (ref.offset, *ref.shape, *ref.stride)]
        places += [size for arg in launch.args if isinstance(arg, Descriptor) for size in (*arg.shape, *arg.strides)]
        for value in (*launch.grid, *scalars, *places, *_plain(kernel.constants)):
            yield _Number(value, where, launch.line)
    for call in every_step(plan, prologue=True):
        if isinstance(call, AtenCall):
            for value in _plain((call.args, call.kwargs)):
                yield _Number(value, call.name, call.line)
    for output in plan.outputs:
        parts = (output.offset, *output.shape, *output.stride) if isinstance(output, TensorRef) else (output,)
        for value in parts:
            yield _Number(value, "the output", 0)


def _plain(value: Any) -> Iterator[int | float]:
    """Numbers in nested tuples and mappings, and those that say where a tensor lies; truth values not counted."""
    if isinstance(value, Mapping):
        for _, part in sorted(value.items()):
            yield from _plain(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _plain(part)
    elif isinstance(value, TensorRef):
        yield from (value.offset, *value.shape, *value.stride)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
