"""Facts about a wrong output, small enough for a verdict: where the wrong elements lie and how far off they are.

Pure functions of tensors; what kind of mistake the facts show is for whoever reads them (`facts["mismatch"]`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MOST_SORTED = 1 << 22
"""Outputs with more elements are not looked at for values in another order."""

SAME = 1e-3
"""How far sorted values may lie apart, by the largest expected one, to count as the same values."""


_SAME_SIZE = {4: torch.int32, 8: torch.int64}
"""Narrower ones are left out: there PyTorch itself rounds any NaN to these bits."""


def shape_facts(got: Sequence[tuple[int, ...]], expected: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """Facts about the first output of another shape; {} where none is, or their numbers differ."""
    if len(got) == len(expected):
        for mine, theirs in zip(got, expected, strict=True):
            if mine != theirs:
                return {"shape": list(mine), "expected_shape": list(theirs)}
    return {}


def mismatch_facts(got: Tensor, expected: Tensor, wrong: Tensor) -> dict[str, Any]:
    """Facts about one output with wrong elements; `wrong` is a boolean tensor of the same shape with at least one True.

    `first` and `last` are flat positions, `box` is for each dimension the first wrong index and one past the last,
    `unwritten` how many of the wrong ones (of float32 and float64) hold the pattern that every buffer is filled with
    before a check, `permuted` whether the same values stand there in another order, `largest_error` the largest |got -
    expected| by the largest |expected|, None where one of them is not finite.
    """
    places = wrong.nonzero()
    ends, shape = places[[0, -1]].tolist(), tuple(got.shape)
    low, high = places.amin(0).tolist(), places.amax(0).tolist()
    error, scale = _largest(got, expected)
    return {
        "shape": list(shape),
        "wrong": len(places),
        "elements": wrong.numel(),
        "first": _flat(ends[0], shape),
        "last": _flat(ends[1], shape),
        "box": [[start, end + 1] for start, end in zip(low, high, strict=True)],
        "unwritten": int((_untouched(got) & wrong).sum()),
        "permuted": _permuted(got, expected, error, scale),
        "largest_error": error / scale if math.isfinite(error) and scale > 0 else None,
    }


def _flat(index: Sequence[int], shape: Sequence[int]) -> int:
    """The position of an element in the order of a contiguous tensor."""
    place = 0
    for step, size in zip(index, shape, strict=True):
        place = place * size + step
    return place


def _untouched(got: Tensor) -> Tensor:
    """Where every bit is set, as the first of both benches' poisons leaves it: a NaN that no arithmetic makes, though a
    CPU's arithmetic hands it on."""
    if not got.dtype.is_floating_point or got.itemsize not in _SAME_SIZE:
        return torch.zeros(got.shape, dtype=torch.bool, device=got.device)
    return got.contiguous().view(_SAME_SIZE[got.itemsize]) == -1


def _largest(got: Tensor, expected: Tensor) -> tuple[float, float]:
    """The largest |got - expected|, not finite where one of them is not somewhere, and the largest |expected|."""
    theirs = expected.to(torch.float64)
    error, scale = torch.stack([(got.to(torch.float64) - theirs).abs().max(), theirs.abs().max()]).tolist()
    return error, scale


def _permuted(got: Tensor, expected: Tensor, error: float, scale: float) -> bool:
    """Whether the same values stand there in another order."""
    if got.numel() > MOST_SORTED or not math.isfinite(error) or error <= SAME * scale:
        return False
    mine, theirs = got.flatten().to(torch.float64), expected.flatten().to(torch.float64)
    return float((mine.sort().values - theirs.sort().values).abs().max()) <= SAME * scale
