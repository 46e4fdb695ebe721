"""Lengths that Python read: what a launch plan takes from the integers among the inputs.

A launch is sized by a length, so a program may read integers and its plan may depend on them: its grids, places of
tensors, block sizes, how many launches there are. That is some numbers for each length and no table of results, so
they are counted. What depends on other values than integers is `answers`'.

Runs in the trusted parent, on plans that have been checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tritonrl_core.bench.plan.schema import (
    AtenCall,
    Descriptor,
    Kernel,
    Launch,
    LaunchPlan,
    TensorRef,
    every_step,
    tensors_in,
)
from tritonrl_core.bench.rules.answers import LITERAL, Given, readings, without_locations

MOST_LENGTHS = 256
"""Different integers of one plan that may follow from integers of the inputs: some for each length that is read."""

MOST_NUMBERS = 4096
"""Numbers in all, and choices of a kernel or a tensor, that may be others for other lengths: some for each launch."""

MOST_LITERALS = 16
"""Decimals that kernels may hold which are launched for some lengths only."""


@dataclass(frozen=True, slots=True)
class _Number:
    value: int | float
    where: str
    line: int
    is_choice: bool = False
    """Whether it says which kernel or tensor: a number of the plan's own."""


def more_than_sizes(one: LaunchPlan, other: LaunchPlan, values: Given) -> str:
    """What of `one` is more than lengths among its `values` account for, in words; "" for nothing.

    `other` is the plan of the same program on other values, integers too.
    """
    mine, theirs = list(_numbers(one)), list(_numbers(other))
    if [(n.where, type(n.value)) for n in mine] == [(n.where, type(n.value)) for n in theirs]:
        differing = new = [n for n, again in zip(mine, theirs, strict=True) if n.value != again.value]
    else:
        # Other lengths are another number of launches: what is new is what the other plan has nowhere.
        differing = _between(mine, theirs)
        there = {(type(n.value), n.is_choice, n.value) for n in theirs}
        new = [n for n in mine if (type(n.value), n.is_choice, n.value) not in there]
    sizes = {number.value for number in new if not number.is_choice}
    for found, most in ((len(sizes), MOST_LENGTHS), (len(differing), MOST_NUMBERS)):
        if found > most:
            return f"{found} numbers that Python computed from the inputs' values go into launches; that is no sizing"
    for number in {number.value: number for number in new if isinstance(number.value, float)}.values():
        if not values.holds(number.value):
            return f"line {number.line}: a number that Python computed from the inputs' values goes into {number.where}"
    for kernel, counterpart in zip(one.kernels, other.kernels, strict=False):
        if _written_into(kernel, counterpart, values):
            return f"line {kernel.line}: the text of kernel {kernel.name} depends on the inputs' values, by Python"
    return _in_more_kernels(one, other, values)


def _between(mine: list[_Number], theirs: list[_Number]) -> list[_Number]:
    """What lies between the beginning and the end that both have."""
    most = min(len(mine), len(theirs))
    start = next((place for place in range(most) if mine[place] != theirs[place]), most)
    most -= start
    end = next((place for place in range(most) if mine[-1 - place] != theirs[-1 - place]), most)
    return mine[start : len(mine) - end]


def _in_more_kernels(one: LaunchPlan, other: LaunchPlan, values: Given) -> str:
    """Whether kernels that the other plan has no counterpart of are full of numbers that it has nowhere."""
    known = {text for kernel in other.kernels for text in LITERAL.findall(kernel.ttir)}
    more = one.kernels[len(other.kernels) :]
    found = {text for kernel in more for text in LITERAL.findall(kernel.ttir) if "." in text or text.startswith("0x")}
    new = [text for text in found - known if not values.holds(*readings(text))]
    if len(new) <= MOST_LITERALS:
        return ""
    return f"line {more[0].line}: kernels that only these lengths lead to hold {len(new)} numbers of their own"


def _written_into(kernel: Kernel, other: Kernel, values: Given) -> bool:
    """Whether one kernel's text holds a number that the other's does not, and that was not simply read. Another length
    is another block size: integers may differ all over, but no other number."""
    found, known = (set(LITERAL.findall(without_locations(part.ttir))) for part in (kernel, other))
    new = {text for text in found - known if "." in text or text.startswith("0x")}
    new -= {f"{float(value):e}" for value in _plain(kernel.constants)}
    return not all(values.holds(*readings(text)) for text in new)


def _numbers(plan: LaunchPlan) -> Iterator[_Number]:
    for step in every_step(plan, prologue=True):
        where = step.name if isinstance(step, AtenCall) else f"kernel {plan.kernels[step.kernel].name}"
        for value in _launched(step, plan) if isinstance(step, Launch) else _plain((step.args, step.kwargs)):
            yield _Number(value, where, step.line)
        choices = [ref.buffer for ref in tensors_in(step)] + ([step.kernel] if isinstance(step, Launch) else [])
        for choice in choices:
            yield _Number(choice, where, step.line, is_choice=True)
    for output in plan.outputs:
        for value in _plain((output,)):
            yield _Number(value, "the output", 0)


def _launched(launch: Launch, plan: LaunchPlan) -> Iterator[int | float]:
    yield from launch.grid
    for arg in launch.args:
        sizes = (arg.base, arg.shape, arg.strides) if isinstance(arg, Descriptor) else (arg,)
        yield from _plain(sizes)
    yield from _plain(plan.kernels[launch.kernel].constants)


def _plain(value: Any) -> Iterator[int | float]:
    """Numbers in nested tuples and mappings, truth values too, and those that say where a tensor lies."""
    if isinstance(value, Mapping):
        for _, part in sorted(value.items()):
            yield from _plain(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _plain(part)
    elif isinstance(value, TensorRef):
        yield from (value.offset, *value.shape, *value.stride)
    elif isinstance(value, int | float):
        yield int(value) if isinstance(value, bool) else value
