"""A fused kernel in the making: what the kernel of a frame is, before it is written out (`kernels`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """One kernel and its launch. `pointers` and `sizes` are pairs of parameter and argument; `blocks` are the constexpr
    parameters with their values; `prepare` are the lines of `forward` before the launch; `shapes` maps kinds of outputs
    to their shapes, whose dtype is that of the tensor `dtype`."""

    pointers: list[tuple[str, str]]
    sizes: list[tuple[str, str]]
    blocks: list[tuple[str, str]]
    body: list[str]
    prepare: list[str]
    shapes: dict[str, str]
    dtype: str
    grid: str
    warps: str
    plan: str
