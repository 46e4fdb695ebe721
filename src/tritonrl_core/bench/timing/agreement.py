"""How far estimated speeds can be believed: their agreement with speeds measured on a GPU, by family.

Of kernels for tasks on which no constant of the estimate was chosen; they were estimated before they were measured
(`benchmarks/agreement_h200/fresh_*.jsonl`; a test works the figures out again), but for the launch's constant, which is
now that of the clock they were measured by: 2 µs more for all. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

ENOUGH = 0.6
"""The agreement from which on an estimate may enter a reward."""

RANKS: Mapping[str, tuple[float, float]] = {
    "convolution": (0.818, 0.816),
    "elementwise": (0.795, 0.781),
    "fused_images": (0.912, 0.942),
    "fused_matmul": (0.903, 0.829),
    "fused_rows": (0.913, 0.904),
    "indexing": (0.906, 0.709),
    "loss": (0.923, 0.589),
    "matmul": (0.958, 0.985),
    "normalisation": (0.588, 0.874),
    "pooling": (0.550, 0.803),
    "reduction": (0.410, 0.796),
    "softmax": (0.856, 0.710),
}
"""Spearman's rank correlation of estimated with measured speedups by family: over all of its kernels, and its mean
within a task, which is what a group of completions sees. Families with fewer than eight kernels are not in it."""

SCATTER, SCATTER_WITHIN = 0.35, 0.2
"""Standard deviation of the logarithm of estimated over measured: of speedups, and of times within a task."""


def may_be_rewarded(family: str) -> bool:
    """Whether estimates of this family's kernels are known to rank them as a clock does, by both figures. Of a family
    that was not measured nobody knows."""
    return min(RANKS.get(family, (0.0, 0.0))) >= ENOUGH
