"""What a case's outputs may be off by, worked out once for all candidates that are held to it.

It decides as `tolerance.compare` does, and of a wrong output says the same, figures and facts included; where it says
nothing, that must be asked. (Of a right output that may name a larger error: relative to a part of what is allowed.)
It exists because comparing small tensors is all overhead: at each of its 300 operations
PyTorch gives up the interpreter's lock, and the thread waits for it anew. With 32 threads judging at once a comparison
of a millisecond took a quarter of a second (docs/log.md). NumPy's operations are cheaper by far, and there are six.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tritonrl_core.bench.outputs.allowance import allowance
from tritonrl_core.bench.outputs.mismatch import mismatch_facts
from tritonrl_core.bench.outputs.tolerance import MOST_STEPS, Comparison, real, story, told

Doubles = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """One floating output in double precision, and how far each element may be from it; both finite."""

    expected: Doubles
    allowed: Doubles

    @property
    def nbytes(self) -> int:
        return self.expected.nbytes + self.allowed.nbytes


def yardstick(
    exact: Tensor, native: Tensor, tolerance: float | None, precision: str, flushed: bool = False
) -> Yardstick | None:
    """For an output as the reference gives it in double and in working precision, by the default criterion.

    `flushed` as for `allowance`.

    None where an output is not told from two numbers an element: integers, and what is infinite or NaN somewhere.
    """
    exact, native = real(exact), real(native)
    if not native.numel() or not native.dtype.is_floating_point:
        return None
    expected = exact.to(torch.float64)
    forms = (native.to(torch.float64), expected, expected.to(native.dtype).to(torch.float64))
    if not all(bool(torch.isfinite(values).all()) for values in forms):
        return None
    return Yardstick(expected.numpy(), allowance(exact, native, tolerance, precision, flushed=flushed).numpy())


def measured(got: Sequence[Tensor], sticks: Sequence[Yardstick | None], *, facts: bool = True) -> Comparison | None:
    """The comparison of outputs of the right shapes and dtypes, on the CPU; without `facts` it has none.

    None where it can't be told: without a yardstick, and where so few elements are wrong that they may be steps that
    fell on the other side.
    """
    found = []
    for index, (mine, stick) in enumerate(zip(map(real, got), sticks, strict=True)):
        compared = None if stick is None else _measured(index, mine, stick, facts)
        if compared is None:
            return None
        found.append(compared)
    worst = max(found, key=lambda result: result.error or 0.0, default=None)
    return worst if worst is None or worst.ok else replace(worst, reason=story(worst.worst, len(got)))


def _measured(index: int, got: Tensor, stick: Yardstick, facts: bool) -> Comparison | None:
    mine, shape = got.to(torch.float64).numpy(), stick.expected.shape
    with np.errstate(all="ignore"):
        error = np.asarray(np.abs(mine - stick.expected) / stick.allowed)  # an array, also of a single number
    np.copyto(error, math.inf, where=np.isnan(error))
    place = int(error.argmax())
    numbers = [float(values.flat[place]) for values in (error, mine, stick.expected, stick.allowed)]
    result = told(index, [*numbers, place], shape)
    if result.ok:
        return result
    wrong = error > 1.0
    few = np.count_nonzero(wrong) <= max(1.0, error.size * MOST_STEPS)
    if few and (facts or math.isfinite(numbers[1])):
        return None  # but where a number stands, no inputs a little off give infinity or NaN: that is no step
    if not facts:
        return result
    return replace(result, facts=mismatch_facts(got, torch.from_numpy(stick.expected), torch.from_numpy(wrong)))
