"""What a case's outputs may be off by, worked out once for all candidates that are held to it.

It decides as `tolerance.compare` does, and of a wrong output says the same, figures and facts included; where it says
nothing, that must be asked. (Of a right output that may name a larger error: relative to a part of what is allowed.)
It exists because comparing small tensors is all overhead: at each of its 300 operations
PyTorch gives up the interpreter's lock, and the thread waits for it anew. With 32 threads judging at once a comparison
of a millisecond took a quarter of a second (docs/log.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tritonrl_core.bench.mismatch import mismatch_facts
from tritonrl_core.bench.tolerance import MOST_STEPS, Comparison, allowance, real, story, told, worst_of


@dataclass(frozen=True, slots=True)
class Yardstick:
    """One floating output in double precision, and how far each element may be from it; both finite."""

    expected: Tensor
    allowed: Tensor

    @property
    def nbytes(self) -> int:
        return self.expected.nbytes + self.allowed.nbytes


def yardstick(exact: Tensor, native: Tensor, tolerance: float | None, precision: str) -> Yardstick | None:
    """For an output as the reference gives it in double and in working precision, by the default criterion.

    None where an output is not told from two numbers an element: integers, and what is infinite or NaN somewhere.
    """
    exact, native = real(exact), real(native)
    if not native.numel() or not native.dtype.is_floating_point:
        return None
    expected = exact.to(torch.float64)
    forms = (native.to(torch.float64), expected, expected.to(native.dtype).to(torch.float64))
    if not all(bool(torch.isfinite(values).all()) for values in forms):
        return None
    return Yardstick(expected, allowance(exact, native, tolerance, precision))


def measured(got: Sequence[Tensor], sticks: Sequence[Yardstick | None]) -> Comparison | None:
    """The comparison of outputs of the right shapes and dtypes.

    None where it can't be told: without a yardstick, and where so few elements are wrong that they may be steps that
    fell on the other side.
    """
    found = []
    for index, (mine, stick) in enumerate(zip(map(real, got), sticks, strict=True)):
        compared = None if stick is None else _measured(index, mine, stick)
        if compared is None:
            return None
        found.append(compared)
    worst = max(found, key=lambda result: result.error or 0.0, default=None)
    return worst if worst is None or worst.ok else replace(worst, reason=story(worst.worst, len(got)))


def _measured(index: int, got: Tensor, stick: Yardstick) -> Comparison | None:
    error = got.to(torch.float64).sub(stick.expected).abs_().div_(stick.allowed)
    error.nan_to_num_(nan=math.inf, posinf=math.inf)
    result = told(index, worst_of(error, got, stick.expected, stick.allowed).tolist(), tuple(error.shape))
    if result.ok:
        return result
    wrong = error > 1.0
    if int(wrong.sum()) <= max(1.0, error.numel() * MOST_STEPS):
        return None
    return replace(result, facts=mismatch_facts(got, stick.expected, wrong))
