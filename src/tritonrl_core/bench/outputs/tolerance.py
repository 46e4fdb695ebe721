"""Whether an output is right: whether each element lies within its allowance, and which is furthest outside.

Pure functions of tensors. How far an element may be off, by the default criterion, is `allowance`'s; `e` and `n` are
the reference's output in double precision and in the working dtype, as there. Where outputs come from, and what a
verdict is made of them, is not decided here.

The worst element decides; there is no share of elements that may be wrong. NaN and infinities must stand where they
stand in `e` rounded to the output's dtype, or in `n`. Integers and booleans must equal `n` (or `e`) exactly; but
indices of extremes or of an order may be others that point to equal values (`bench.pointers`).

A step of the output (a rounded or quantised value, an index, a comparison) may fall on either side where the value
that decides lies within rounding of it. So where only one element is wrong, or one in 64, the reference is asked again
with inputs and parameters a few units in the last place off (`nearby`), and such an element may also be what it is
there: exactly where it is an integer, within its allowance where it is not. Where nearby inputs take the element to
both sides, it may be as far off: it is what is left when larger numbers cancel (an element of sparsemax just above the
threshold). Nearby outputs of a smooth operator differ by less than its allowance, so this changes nothing for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tritonrl_core.bench.outputs.allowance import OwnError, allowance, by_a_part, finite
from tritonrl_core.bench.outputs.mismatch import mismatch_facts, shape_facts
from tritonrl_core.bench.outputs.pointers import same_values
from tritonrl_core.types import InputCase, Task, WorstElement

SURE, MANY = 0.25, 1 << 27
"""An output is first held to a part of what it is allowed, at a tenth of the cost: that suffices where its error is at
most `SURE` of that part, or, from `MANY` elements on, where it is within it."""

MOST_STEPS = 1 / 64
"""Share of wrong elements up to which they may be steps that fell on the other side."""

KERNELBENCH = {torch.float32: 1e-4, torch.float64: 1e-4}
"""`atol` = `rtol` of the `kernelbench` criterion; 1e-2 for everything narrower."""

_INDICES = (torch.int64, torch.int32)

Nearby = Callable[[], Sequence[Sequence[Tensor]]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`error` is the worst element's error divided by what was allowed there (≤ 1 passes); None where nothing was
    compared (another shape, dtype or number of outputs). `facts` say where it is wrong (`bench.mismatch`)."""

    ok: bool
    error: float | None
    worst: WorstElement | None = None
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def compare(
    got: Sequence[Tensor],
    expected64: Sequence[Tensor],
    expected_native: Sequence[Tensor],
    task: Task | None = None,
    case: InputCase | None = None,
    criterion: str = "default",
    precision: str = "ieee",
    nearby: Nearby | None = None,
    elsewhere: Sequence[OwnError | None] = (),
    inputs: Sequence[Tensor] = (),
) -> Comparison:
    """Compare a candidate's outputs with the reference's, in order; the worst of them is the answer.

    `expected64` may hold outputs in the working dtype, where the reference has no other; `elsewhere` is what its error
    was on other cases, by output.

    `case` tells whether the values are those that the reference itself draws (`underflows`); without it they are.

    `nearby` gives the reference's outputs in double precision for inputs that are a little off (above); it is called
    where it can matter. `inputs` are the tensors that indices may point into, as they were before the run.

    `criterion` is `default` (`bench.allowance`) or `kernelbench` (`allclose` with the working-dtype output at 1e-4, or
    1e-2 in half precision). `precision` is `ieee`, `tf32` or `half`: what float32 outputs are held to. The task's
    `tolerance` replaces `r`, and the bound on sums with it. All tensors of one output must be on one device.
    """
    if criterion not in ("default", "kernelbench"):
        raise ValueError(f"criterion is 'default' or 'kernelbench', not {criterion!r}")
    mismatch = shape_mismatch(got, expected_native)
    if mismatch:
        facts = shape_facts([tuple(t.shape) for t in got], [tuple(t.shape) for t in expected_native])
        return Comparison(False, None, reason=mismatch, facts=facts)
    rule = _Rule(task.tolerance if task else None, criterion, precision, nearby, inputs, underflows(case))
    triples = zip(map(real, got), map(real, expected64), map(real, expected_native), strict=True)
    known = dict(enumerate(elsewhere))
    results = [_compare_one(index, *triple, rule, known.get(index)) for index, triple in enumerate(triples)]
    worst = max(results, key=lambda result: result.error or 0.0, default=Comparison(True, 0.0))
    return worst if worst.ok else replace(worst, reason=story(worst.worst, len(got)))


def underflows(case: InputCase | None) -> bool:
    """Whether all of a case's output may underflow: not on the values that the reference itself draws."""
    return case is not None and case.distribution != "normal"


@dataclass(frozen=True, slots=True)
class _Rule:
    """What outputs are held to, and what may be asked about them; as `compare` was told."""

    tolerance: float | None
    criterion: str
    precision: str
    nearby: Nearby | None
    inputs: Sequence[Tensor]
    flushed: bool


def _compare_one(
    index: int, got: Tensor, exact: Tensor, native: Tensor, rule: _Rule, elsewhere: OwnError | None
) -> Comparison:
    if got.numel() == 0:
        return Comparison(True, 0.0)
    if not native.dtype.is_floating_point:
        return _compare_whole(index, got, exact, native, rule)
    if rule.criterion == "kernelbench":
        bound = KERNELBENCH.get(native.dtype, 1e-2)
        target = native.to(torch.float64)
        accepted = [torch.where(torch.isnan(target), 0.0, target)]  # as `allclose`: NaN equals nothing
        return _compare_floats(index, got, target, bound + bound * finite(target).abs(), accepted, None)
    sure = _surely_right(index, got, exact, native.dtype, rule.tolerance, rule.precision)
    if sure.error is not None and sure.error <= (1.0 if native.numel() >= MANY else SURE):
        return sure
    target = exact.to(torch.float64)
    allowed = allowance(exact, native, rule.tolerance, rule.precision, elsewhere, rule.flushed)
    # In half precision the exact result may round to infinity, and a candidate may do better than the reference.
    accepted = [target.to(native.dtype).to(torch.float64), native.to(torch.float64)]
    return _compare_floats(index, got, target, allowed, accepted, rule.nearby)


def _compare_whole(index: int, got: Tensor, exact: Tensor, native: Tensor, rule: _Rule) -> Comparison:
    """Integers and booleans."""
    wrong = (got != native) & (got != exact.to(native.dtype))
    error = torch.where(wrong, math.inf, 0.0).to(torch.float64)
    equal = same_values(got, native, rule.inputs) if native.dtype in _INDICES and bool(wrong.any()) else None
    if equal is not None:
        error = torch.where(equal, 0.0, error)
    result = _result(index, error, got, native, torch.zeros_like(error))
    for other in () if result.ok else _others(error, index, rule.nearby):
        error = torch.where(got == other.to(native.dtype), 0.0, error)
        result = _result(index, error, got, native, torch.zeros_like(error))
    return result


def _compare_floats(
    index: int, got: Tensor, target: Tensor, allowed: Tensor, accepted: Sequence[Tensor], nearby: Nearby | None
) -> Comparison:
    """`accepted` are forms of the output in whose places infinities and NaN may stand."""
    mine = got.to(torch.float64)
    distance = (mine - target).abs()
    error = torch.where(distance == 0, 0.0, distance / allowed)
    special = ~torch.isfinite(mine) | ~torch.isfinite(target)
    if bool(special.any()):
        agrees = torch.zeros_like(special)
        for reference in accepted:
            same = (mine == reference) | (torch.isnan(mine) & torch.isnan(reference))
            agrees |= same & ~torch.isfinite(reference)
        error = torch.where(special, torch.where(agrees, 0.0, math.inf), error)
    result = _result(index, error.to(torch.float64), got, target, allowed)
    others = [] if result.ok else _others(error, index, nearby)
    for other in others:
        error = torch.where((mine - other.to(torch.float64)).abs() <= allowed, error.clamp(max=1.0), error)
        result = _result(index, error.to(torch.float64), got, target, allowed)
    if others and not result.ok:
        error = torch.where(distance <= allowed + _swing(target, others), error.clamp(max=1.0), error)
        result = _result(index, error.to(torch.float64), got, target, allowed)
    return result


def _swing(target: Tensor, others: Sequence[Tensor]) -> Tensor:
    """How far nearby inputs take each element to either side at least: much where it cancels, nothing at a step."""
    near = torch.stack([other.to(torch.float64) for other in others])
    return torch.minimum(near.amax(0) - target, target - near.amin(0)).clamp(min=0).nan_to_num(nan=0.0, posinf=0.0)


def _surely_right(
    index: int, got: Tensor, exact: Tensor, dtype: torch.dtype, tolerance: float | None, precision: str
) -> Comparison:
    """The comparison by a part of what is allowed, at a fraction of the cost; `error` is relative to that part."""
    error, allowed = by_a_part(got, exact, dtype, tolerance, precision)
    return _result(index, error, got, exact, allowed, explain=False)


def _others(error: Tensor, index: int, nearby: Nearby | None) -> list[Tensor]:
    """This output as nearby inputs give it, where only a few elements are wrong."""
    wrong = int((error > 1).sum()) if nearby is not None else 0
    if nearby is None or not 0 < wrong <= max(1.0, error.numel() * MOST_STEPS):
        return []
    return [real(outputs[index]) for outputs in nearby()]


def _result(
    index: int, error: Tensor, got: Tensor, expected: Tensor, allowed: Tensor, explain: bool = True
) -> Comparison:
    found = worst_of(error, got, expected, allowed).tolist()
    result = told(index, found, tuple(error.shape))
    if result.ok or not explain:
        return result
    wrong = torch.nan_to_num(error, nan=math.inf, posinf=math.inf) > 1.0
    return replace(result, facts=mismatch_facts(got, expected, wrong))


def worst_of(error: Tensor, got: Tensor, expected: Tensor, allowed: Tensor) -> Tensor:
    """Of the worst element its error, what it is, what was expected and allowed, and its place: five numbers that are
    still on the device, because each that is asked of one waits for it."""
    flat = torch.nan_to_num(error.flatten(), nan=math.inf, posinf=math.inf)
    place = flat.argmax().reshape(1)
    parts = [flat, *(values.flatten() for values in (got, expected, allowed))]
    # Not `part[place]`: with a single number as index, that asks for it.
    return torch.cat([*(part.index_select(0, place).to(torch.float64) for part in parts), place.double()])


def told(index: int, numbers: Sequence[float], shape: tuple[int, ...]) -> Comparison:
    """The comparison of one output by what `worst_of` found."""
    value, got, expected, allowed, place = numbers
    where = tuple(_unravel(int(place), shape))
    worst = WorstElement(output=index, index=where, got=got, expected=expected, allowed=allowed)
    return Comparison(value <= 1.0, value, worst)


def story(worst: WorstElement | None, outputs: int) -> str:
    """A wrong output in words, by its worst element."""
    if worst is None:
        return "the output differs"
    which = f"output {worst.output} of {outputs}" if outputs > 1 else "output"
    place = f"[{', '.join(map(str, worst.index))}]" if worst.index else ""
    return f"{which}{place} is {worst.got:.6g}, expected {worst.expected:.6g} ± {worst.allowed:.2g}"


def shape_mismatch(got: Sequence[Tensor], expected: Sequence[Tensor]) -> str:
    """What differs before any value is looked at, in words; "" where nothing does."""
    return mismatch([(tuple(t.shape), t.dtype) for t in got], [(tuple(t.shape), t.dtype) for t in expected])


def mismatch(
    got: Sequence[tuple[tuple[int, ...], torch.dtype]], expected: Sequence[tuple[tuple[int, ...], torch.dtype]]
) -> str:
    """What differs between two lists of (shape, dtype), in words; "" where nothing does."""
    if len(got) != len(expected):
        return f"{len(got)} output{'s' * (len(got) != 1)} instead of {len(expected)}"
    for index, (mine, theirs) in enumerate(zip(got, expected, strict=True)):
        name = f"output {index}" if len(expected) > 1 else "output"
        if mine[0] != theirs[0]:
            return f"{name} has shape {list(mine[0])} instead of {list(theirs[0])}"
        if mine[1] != theirs[1]:
            return f"{name} has dtype {_name(mine[1])} instead of {_name(theirs[1])}"
    return ""


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def real(values: Tensor) -> Tensor:
    """Complex numbers as pairs."""
    return torch.view_as_real(values) if values.is_complex() else values


def _unravel(place: int, shape: tuple[int, ...]) -> list[int]:
    index: list[int] = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return index[::-1]
