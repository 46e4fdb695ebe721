"""Outputs that are indices into an input: of equal values either may be pointed to.

Whether an output is such is told from the reference's own: what it points to must be the largest or the smallest
values, or in order. Pure functions of tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def same_values(got: Tensor, expected: Tensor, inputs: Sequence[Tensor]) -> Tensor | None:
    """Where an integer output points to the value that the expected one points to; None where it is no index."""
    for given in inputs:
        for values, mine, theirs, dim in _readings(given, got, expected):
            if not _within(theirs, values.shape[dim]) or not _chosen(values, theirs, dim):
                continue
            size = values.shape[dim]
            inside = (mine >= 0) & (mine < size)
            one, other = (values.gather(dim, index.clamp(0, size - 1)) for index in (mine, theirs))
            equal = (one == other) | (torch.isnan(one) & torch.isnan(other))
            equal &= ~_repeated(mine, dim)
            return (inside & equal).reshape(got.shape)
    return None


def _readings(given: Tensor, got: Tensor, expected: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, int]]:
    """Ways in which a tensor may be what is pointed into: values, both indices in the values' form, and along which
    dimension."""
    if not given.numel() or not given.is_floating_point():
        return
    if expected.numel() == 1 and given.dim() > 1:
        yield given.flatten(), got.flatten().long(), expected.flatten().long(), 0
    for dim in range(given.dim()):
        rest = given.shape[:dim] + given.shape[dim + 1 :]
        if expected.shape == rest:
            yield given, got.unsqueeze(dim).long(), expected.unsqueeze(dim).long(), dim
        elif expected.dim() == given.dim() and expected.shape[:dim] + expected.shape[dim + 1 :] == rest:
            yield given, got.long(), expected.long(), dim


def _repeated(index: Tensor, dim: int) -> Tensor:
    """Where an index points to what another one points to as well: an order has each place once."""
    ordered, places = index.sort(dim=dim)
    same, one = ordered.diff(dim=dim) == 0, torch.zeros_like(ordered.narrow(dim, 0, 1), dtype=torch.bool)
    again = torch.cat([same, one], dim) | torch.cat([one, same], dim)
    return torch.zeros_like(again).scatter(dim, places, again)


def _within(index: Tensor, size: int) -> bool:
    return bool(((index >= 0) & (index < size)).all())


def _chosen(values: Tensor, index: Tensor, dim: int) -> bool:
    """Whether an index picks extremes, or values in order."""
    picked = torch.nan_to_num(values.gather(dim, index))
    values = torch.nan_to_num(values)
    if index.shape[dim] == 1:
        return any(bool((picked == most(values, dim, keepdim=True)).all()) for most in (torch.amax, torch.amin))
    steps = picked.diff(dim=dim)
    distinct = index.sort(dim=dim).values.diff(dim=dim)
    return bool((distinct > 0).all()) and (bool((steps >= 0).all()) or bool((steps <= 0).all()))
