"""Whether outputs are plainly right, told without waiting for the device: most candidates that get this far are.

What it says is what `tolerance.compare` says, figures included; where it says nothing, that must be asked. It gives
numbers that are still on the device, so that all that is wanted of a run can be fetched in one go: with other
processes at work there, each time that one waits for it costs more than the work that one waits for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tritonrl_core.bench.outputs.allowance import by_a_part
from tritonrl_core.bench.outputs.tolerance import MANY, SURE, Comparison, real, shape_mismatch, told, worst_of

NUMBERS = 5
"""How many `worst_of` gives for an output."""


def worst_elements(
    got: Sequence[Tensor], exact: Sequence[Tensor], native: Sequence[Tensor], tolerance: float | None, precision: str
) -> Tensor | None:
    """`NUMBERS` for each output, one after the other; None where a shape or a dtype differs, or nothing is compared."""
    if shape_mismatch(got, native) or not native or not all(tensor.numel() for tensor in native):
        return None
    outputs = zip(got, exact, native, strict=True)
    return torch.cat([_worst(real(mine), real(e), real(n), tolerance, precision) for mine, e, n in outputs])


def _worst(got: Tensor, exact: Tensor, native: Tensor, tolerance: float | None, precision: str) -> Tensor:
    if native.dtype.is_floating_point:
        error, allowed = by_a_part(got, exact, native.dtype, tolerance, precision)
        return worst_of(error, got, exact, allowed)
    error = (got != native).to(torch.float64)
    return worst_of(error, got, native, torch.zeros_like(error))


def plainly_right(numbers: Sequence[float], native: Sequence[Tensor]) -> Comparison | None:
    """The comparison by what `worst_elements` gave, fetched; None where that does not tell."""
    found = []
    for index, tensor in enumerate(map(real, native)):
        most = 0.0 if not tensor.dtype.is_floating_point else 1.0 if tensor.numel() >= MANY else SURE
        result = told(index, numbers[index * NUMBERS :][:NUMBERS], tuple(tensor.shape))
        if result.error is None or not result.error <= most:
            return None
        found.append(result)
    return max(found, key=lambda result: result.error or 0.0, default=None)
