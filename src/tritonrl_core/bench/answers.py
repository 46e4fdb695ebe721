"""Answers that Python computed: numbers in a launch plan that depend on the values of the inputs.

A program that reads values back is recorded on two sets of values. What differs between its two plans came from the
values by way of Python: a length may, because a launch is sized by it; a result may not. Numbers that are read and
passed on unchanged are fine. Runs in the trusted parent, on plans that have been checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tritonrl_core.bench.plan import AtenCall, Launch, LaunchPlan, Tune
from tritonrl_core.bench.record_request import RecordRequest, TensorSpec, specs_in


@dataclass(frozen=True, slots=True)
class Given:
    """The values of a case as they were sent to a recording: one flat tensor for each that it was given."""

    tensors: Sequence[torch.Tensor]

    @property
    def has_integers(self) -> bool:
        """Whether there is a tensor that lengths or indices may be read from."""
        return any(not tensor.is_floating_point() and tensor.dtype is not torch.bool for tensor in self.tensors)

    def holds(self, value: float) -> bool:
        """Whether one of the values is this one."""
        return any(bool((tensor.double() == value).any()) for tensor in self.tensors if not tensor.is_complex())


def given(request: RecordRequest, values: bytes) -> Given:
    """Cut the bytes that went with a request into its tensors."""
    arguments = request.arguments
    specs = [*specs_in(arguments.forward), *specs_in(arguments.init), *request.state.values()]
    tensors, place = [], 0
    for spec in specs:
        tensors.append(_flat(spec, values[place : place + spec.nbytes]))
        place += spec.nbytes
    return Given(tensors)


def _flat(spec: TensorSpec, data: bytes) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    whole = len(data) // dtype.itemsize * dtype.itemsize
    return torch.frombuffer(bytearray(data[:whole]), dtype=dtype) if whole else torch.empty(0, dtype=dtype)


def computed_in_python(one: LaunchPlan, other: LaunchPlan, values: Given) -> str:
    """Which number of `one` Python computed from the values that it was recorded on, in words; "" for none.

    `other` is the plan of the same program on other values. Where launches themselves differ in kind or number, only a
    program that is given integers to read lengths from is followed.
    """
    mine, theirs = list(_numbers(one)), list(_numbers(other))
    if [(n.where, type(n.value)) for n in mine] != [(n.where, type(n.value)) for n in theirs]:
        return "" if values.has_integers else "what it launches depends on the values of its inputs, which Python read"
    lengths = values.has_integers and not _reads_floats(one)
    for number, again in zip(mine, theirs, strict=True):
        if number.value == again.value or (isinstance(number.value, int) and lengths):
            continue
        if not values.holds(number.value):
            return f"line {number.line}: a number that Python computed from the inputs' values goes into {number.where}"
    return ""


def _reads_floats(plan: LaunchPlan) -> bool:
    """Whether a value that was read back was no integer, as far as the recording says."""
    return any(note.kind == "readback" and not note.text.lstrip("-").isdigit() for note in plan.notes)


@dataclass(frozen=True, slots=True)
class _Number:
    value: int | float
    where: str
    line: int


def _numbers(plan: LaunchPlan) -> Iterator[_Number]:
    for launch in _launches(plan):
        kernel = plan.kernels[launch.kernel]
        where = f"kernel {kernel.name}"
        scalars = [arg for arg in launch.args if isinstance(arg, int | float)]
        for value in (*launch.grid, *scalars, *_plain(kernel.constants)):
            yield _Number(value, where, launch.line)
    for call in plan.aten_calls(prologue=True):
        for value in _plain((call.args, call.kwargs)):
            yield _Number(value, call.name, call.line)
    for output in plan.outputs:
        if isinstance(output, int | float):
            yield _Number(output, "the output", 0)


def _launches(plan: LaunchPlan) -> Iterator[Launch]:
    for step in (*plan.prologue, *plan.steps):
        parts: Sequence[AtenCall | Launch]
        parts = [part for variant in step.variants for part in variant] if isinstance(step, Tune) else [step]
        yield from (part for part in parts if isinstance(part, Launch))


def _plain(value: Any) -> Iterator[int | float]:
    """Numbers in nested tuples and mappings, truth values not counted."""
    if isinstance(value, Mapping):
        for _, part in sorted(value.items()):
            yield from _plain(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _plain(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
