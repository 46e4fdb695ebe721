"""Two or more evaluations side by side, over the tasks that all of them answered.

The bootstrap is paired: each draw takes the same tasks for every evaluation, so that the spread between tasks, which
they share, does not hide a difference between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tritonrl_core.errors import UsageError
from tritonrl_core.evaluate.figures import (
    FEWEST_TASKS,
    Estimate,
    Matrix,
    by_task,
    figure_sums,
    interval,
    ratios,
    resampled,
)
from tritonrl_core.types import Score, Status


@dataclass(frozen=True, slots=True)
class Compared:
    """One evaluation beside the first: its figures, and what each is above the first's (a ratio for the speedup)."""

    name: str
    samples: int
    figures: Mapping[str, Estimate]
    gains: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`tasks` were answered by all; `left_out` were not. `sides` are in the order given, the first one the standard."""

    tasks: int
    left_out: int
    sides: Sequence[Compared]


def compare(results: Mapping[str, Sequence[Score]], seed: int = 0) -> Comparison:
    """Compare evaluations by name. Raises `UsageError` where there are fewer than two or they share no task."""
    if len(results) < 2:
        raise UsageError("one evaluation cannot be compared", remedy="Name two or more.")
    grouped = {
        name: by_task([score for score in scores if score.verdict.status is not Status.INFRA])
        for name, scores in results.items()
    }
    every = {key for groups in grouped.values() for key in groups}
    shared = sorted(set.intersection(*(set(groups) for groups in grouped.values())))
    if not shared:
        raise UsageError("these evaluations have no task in common", remedy="Compare what was run on the same suite.")
    names, tables = _same_figures([[groups[key] for key in shared] for groups in grouped.values()])
    values = [ratios(table.sum(axis=0)[None])[0] for table in tables]
    drawn = [ratios(resampled(table, seed) if len(shared) >= FEWEST_TASKS else table[:0]) for table in tables]
    sides = [
        Compared(
            name=name,
            samples=sum(len(grouped[name][key]) for key in shared),
            figures=_estimates(names, value, draws),
            gains=_estimates(names, _gain(value, values[0]), _gain(draws, drawn[0])),
        )
        for name, value, draws in zip(results, values, drawn, strict=True)
    ]
    return Comparison(len(shared), len(every) - len(shared), sides)


def _same_figures(sides: Sequence[Sequence[Sequence[Score]]]) -> tuple[list[str], list[Matrix]]:
    """The figures that every side has, in order (one sampled less often has fewer pass@k)."""
    found = [figure_sums(groups) for groups in sides]
    names = [name for name in found[0][0] if all(name in other for other, _ in found)]
    return names, [table[:, [own.index(name) for name in names]] for own, table in found]


def _gain(mine: Matrix, first: Matrix) -> Matrix:
    """Difference of shares; the last figure, a speedup, is a ratio."""
    result: Matrix = mine - first
    with np.errstate(invalid="ignore", divide="ignore"):
        result[..., -1] = mine[..., -1] / first[..., -1]
    return result


def _estimates(names: Sequence[str], values: Matrix, draws: Matrix) -> dict[str, Estimate]:
    few = len(draws) == 0
    bounds = [(float("nan"), float("nan")) if few else interval(draws[:, i]) for i in range(len(names))]
    return {name: Estimate(float(values[i]), *bounds[i]) for i, name in enumerate(names)}
