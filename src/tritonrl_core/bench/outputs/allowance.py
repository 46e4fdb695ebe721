"""How far each element of an output may be from the reference: the default criterion, and where its numbers come from.

Pure functions of tensors. What is done with elements that are further off is `tolerance`'s.

The default criterion. Let `e` be the reference's output in double precision, `n` its output in the working dtype
(without TF32), `eps` the machine epsilon of the output's dtype and `s` the scale of an element: the root mean square of
`e` over its row (the last dimension; the whole tensor where rows are shorter than 16), but at least 2⁻¹⁰ of the whole
tensor's. An element of the candidate may be off by

    r·|e|                                   rounding of the result and of what it was computed from
    + 8·eps·s                               rounding of zeros and of what cancels to almost zero
    + max(min(r·t, 256·q), 4·m, 8·M)        another order of summation

where `q` and `m` are the root mean square and the maximum of `|n - e|` over the same row: the error that the reference
itself makes. An operator without sums has a small `q`, so it is held to a small error; an exact one (ReLU, a copy) has
none, so it is held to the element's own magnitude. The factor 256 is because torch sums in a tree: adding K numbers
one by one has an error about √K larger relative to the tree's (Higham, "Accuracy and Stability of Numerical
Algorithms", 2nd ed., §4.2), and K of a few ten thousand occur. `r·t` bounds it, where `t` is `s` but at least an
eighth of the whole tensor's scale: for float32 `r` = 512·eps ≈ 6·10⁻⁵, above the sequential sum of 65,536 random
numbers (2.5·10⁻⁵ of the scale at the worst element) and well below what TF32 or half precision inside give (5·10⁻⁴ to
10⁻²).

Error bounds of sums hold for norms, not for elements: a ReLU may clip a whole row in the reference and leave 10⁻⁸ in
another order of summation, a softmax's row may be sharp by chance, so a row's own error is a sample too small to go
by. Therefore `M` is the largest error over the whole tensor, and `q` at least the root mean square over the whole
tensor; both of what the element's own magnitude does not explain, of `|n - e| - r/4·|e|` where that is positive,
because else one large element (of 1/x, of an exponential) would excuse all others. At full size on a GPU the rule
without them refused 59 of 5,315 runs of right kernels (docs/log.md).

No allowance exceeds a quarter of the largest `|e|` of the output, so zeros fail wherever anything but zeros is
expected; none is below half the dtype's smallest positive number, because a result that underflows is rounded to zero
by everyone. On values that are not the reference's own (`flushed`) none is below the smallest normal number of float32
and bfloat16, 1.2·10⁻³⁸: there a sigmoid may be 1/(1 + ∞) throughout, and a GPU flushes what is smaller. On its own
values a task of such outputs is unfit, so they are held to more.

Where the reference has no double-precision form (`e` comes in the working dtype), its own error is not known and `r·s`
alone stands for another order of summation. Of a case that is too large to be worked out in double precision each time
(`bench.large_cases`), `e` is in the working dtype too, and what the reference's error was on other cases of the task
(`own_error`, relative to the output's scale) stands for its own: 16 times that mean error for `q`, because
other values may be worse conditioned, and the largest for `M`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

REWORK = {
    torch.float64: 2.0**20,
    torch.float32: 512.0,
    torch.float16: 4.0,
    torch.bfloat16: 4.0,
}
"""`r` in units of the dtype's epsilon; 2 for the 8-bit floats. For float64 the reference has no better one to go by."""

LOWERED = {"tf32": 4 * 2.0**-10, "half": 4 * 2.0**-8}
"""`r` for float32 where the preset allows TF32 inside (10 bits of mantissa, the rest cut off) or bfloat16."""

SUMMATION = 256.0
OWN_ERROR = 4.0
WORST_ERROR = 8.0
ELSEWHERE = 16.0
SHARE = 0.125
EXPLAINED = 0.25
ZERO = 8.0
SHORT_ROW = 16
QUIET_ROW = 2.0**-10
MOST = 0.25

FLUSHED = (torch.float32, torch.bfloat16)
"""Dtypes whose subnormal numbers are given as zeros: those of half precision everyone keeps."""

OwnError = tuple[float, float]
"""Mean (root mean square) and largest error of a reference in its working dtype, by the scale of its output."""


def allowance(exact: Tensor, native: Tensor, tolerance: float | None = None, precision: str = "ieee",
              elsewhere: OwnError | None = None, flushed: bool = False) -> Tensor:  # fmt: skip
    """How far each element may be from `exact`, by the default criterion. Non-finite elements count as 0.

    `exact` must have elements, and is float64 unless the reference has only one precision.
    """
    own_known = exact.dtype != native.dtype
    exact = exact.to(torch.float64)
    eps = float(torch.finfo(native.dtype).eps)
    lowered = LOWERED.get(precision) if native.dtype == torch.float32 else None
    r = rework(native.dtype, tolerance, precision)
    e = finite(exact)
    n = native.to(torch.float64)
    own = (n - e).abs()
    own[~(torch.isfinite(exact) & torch.isfinite(n))] = 0
    scale, whole = _row_scale(e), row_rms(e.flatten())
    unexplained = (own - EXPLAINED * r * e.abs()).clamp(min=0)
    summation = r * torch.maximum(scale, SHARE * whole)
    if own_known and not lowered and not tolerance:
        q = torch.maximum(row_rms(own), row_rms(unexplained.flatten()))
        summation = torch.minimum(summation, SUMMATION * q)
    noise = torch.maximum(OWN_ERROR * _row_max(own), WORST_ERROR * unexplained.amax())
    if elsewhere and not own_known and not lowered and not tolerance:
        mean, most = elsewhere
        summation = torch.minimum(summation, SUMMATION * ELSEWHERE * mean * whole)
        noise = torch.maximum(noise, WORST_ERROR * most * whole)
    allowed = r * e.abs() + ZERO * eps * scale + torch.maximum(summation, noise)
    normal = float(torch.finfo(native.dtype).smallest_normal)
    least = normal if flushed and native.dtype in FLUSHED else _half_step(native.dtype)
    return torch.minimum(allowed, MOST * e.abs().max()).clamp(min=least)


def _half_step(dtype: torch.dtype) -> float:
    """Half the smallest positive number of a dtype: what rounding alone may cost where the result underflows."""
    info = torch.finfo(dtype)
    return 0.5 * float(info.smallest_normal) * float(info.eps)


def by_a_part(
    got: Tensor, exact: Tensor, dtype: torch.dtype, tolerance: float | None, precision: str
) -> tuple[Tensor, Tensor]:
    """Each element's error relative to a part of what is allowed, so that the true one is smaller, and that part.

    The part is `r·|e| + 8·eps·s` under the same bounds. The error is infinite or NaN where anything is not finite.
    """
    e = exact.to(torch.float64)
    error, allowed = (got.to(torch.float64) - e).abs_(), e.abs()
    most = MOST * allowed.amax()
    whole = torch.linalg.vector_norm(e) / math.sqrt(e.numel())
    rows = torch.linalg.vector_norm(e, dim=-1, keepdim=True) / math.sqrt(e.shape[-1]) if _rows(e) else whole
    scale = torch.maximum(rows, QUIET_ROW * whole).nan_to_num_(posinf=0.0)  # squares overflow first
    allowed.mul_(rework(dtype, tolerance, precision)).add_(ZERO * float(torch.finfo(dtype).eps) * scale)
    allowed.clamp_(max=most).clamp_(min=_half_step(dtype))
    return error.div_(allowed), allowed


def rework(dtype: torch.dtype, tolerance: float | None, precision: str) -> float:
    """`r`, absolute."""
    lowered = LOWERED.get(precision) if dtype == torch.float32 else None
    return tolerance or lowered or REWORK.get(dtype, 2.0) * float(torch.finfo(dtype).eps)


def finite(values: Tensor) -> Tensor:
    """The values with zeros for what is not finite."""
    return torch.where(torch.isfinite(values), values, 0.0)


def _rows(values: Tensor) -> bool:
    return values.dim() > 1 and values.shape[-1] >= SHORT_ROW


def row_rms(values: Tensor) -> Tensor:
    """The root mean square of each row of 16 or more, of shape `(…, 1)`; of the whole where rows are shorter."""
    # Divided by the maximum first, so that squares neither overflow nor vanish.
    most = values.abs().amax(dim=-1, keepdim=True) if _rows(values) else values.abs().amax()
    unit = torch.where(most > 0, most, 1.0)
    square = (values / unit).square()
    return unit * (square.mean(dim=-1, keepdim=True) if _rows(values) else square.mean()).sqrt()


def _row_max(values: Tensor) -> Tensor:
    return values.abs().amax(dim=-1, keepdim=True) if _rows(values) else values.abs().amax()


def _row_scale(values: Tensor) -> Tensor:
    whole = row_rms(values.flatten())
    return torch.maximum(row_rms(values), QUIET_ROW * whole)


def own_error(exact: Tensor, native: Tensor) -> OwnError | None:
    """A reference's error on one output, for cases without `exact`; None where it is not known.

    `exact` is in double precision. Non-finite elements do not count.
    """
    if exact.dtype == native.dtype or not native.dtype.is_floating_point or not native.numel():
        return None
    own = (native.to(torch.float64) - exact).abs_().nan_to_num_(nan=0.0, posinf=0.0)
    count = math.sqrt(native.numel())
    whole = float(torch.linalg.vector_norm(exact)) / count
    if not math.isfinite(whole):
        whole = float(row_rms(finite(exact).flatten()))
    return (float(torch.linalg.vector_norm(own)) / count / whole, float(own.amax()) / whole) if whole else None
