"""The figures of a set of scores, each with its interval: pass@k, valid, compiled, correct, fast_p and speedup.

Intervals are bootstraps over tasks (samples of one task are not independent). Judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, isfinite, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tritonrl_core.types import Score, Status

FAST_P = (0.0, 0.5, 0.8, 1.0, 1.5, 2.0)
"""The speedups at which fast_p is given, KernelBench's (arXiv 2502.10517)."""

BOOTSTRAPS = 2000

FEWEST_TASKS = 5
"""With fewer, resampling tasks says nothing of the spread between them, and no interval is given."""

Matrix = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and the 95 % interval it may be off by; nan where nothing can be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Slice:
    """The figures of some of the scores: all of them, a level's or a family's. `figures` is in the order to show."""

    name: str
    tasks: int
    samples: int
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class EvalReport:
    """Shares over all judged samples; INFRA is left out and counted in `infra`.

    `correct_low`/`correct_high` bound the 95 % interval of `correct`, by bootstrap over tasks. `pass_at` maps k to
    pass@k, `fast` maps p to fast_p, `by_level` maps levels to correct rates. `overall`, `levels` and `families` hold
    every figure with its interval.
    """

    tasks: int
    samples: int
    temperature: float
    valid: float
    compiled: float
    correct: float
    correct_low: float
    correct_high: float
    pass_at: Mapping[int, float]
    fast: Mapping[float, float]
    by_level: Mapping[int, float]
    statuses: Mapping[str, int]
    infra: int = 0
    unsupported: int = 0
    seconds: float = 0.0
    estimated: bool = False
    """True where a speedup that went into `fast` is an estimate and no measurement."""
    overall: Slice = field(default_factory=lambda: Slice("all", 0, 0, {}))
    levels: Sequence[Slice] = ()
    families: Sequence[Slice] = ()
    scores: Sequence[Score] = field(default=(), repr=False)


def report(scores: Sequence[Score], *, temperature: float = 1.0, seconds: float = 0.0) -> EvalReport:
    """The figures of a set of scores, grouped by task."""
    judged = [score for score in scores if score.verdict.status is not Status.INFRA]
    overall = slice_of("all", judged)
    correct = overall.figures["correct"] if judged else Estimate(0.0, 0.0, 0.0)
    levels = [slice_of(f"level {level}", part) for level, part in _parts(judged, lambda score: score.level)]
    statuses = [score.verdict.status.value for score in scores]
    return EvalReport(
        tasks=overall.tasks,
        samples=overall.samples,
        temperature=temperature,
        valid=_share(judged, lambda score: score.verdict.valid is True),
        compiled=_share(judged, lambda score: score.verdict.compiled is True),
        correct=correct.value,
        correct_low=correct.low,
        correct_high=correct.high,
        pass_at={
            int(name.removeprefix("pass@")): figure.value
            for name, figure in overall.figures.items()
            if name.startswith("pass@")
        }
        or {1: 0.0},
        fast={p: fast_p(judged, p) for p in FAST_P},
        by_level={int(part.name.split()[1]): part.figures["correct"].value for part in levels},
        statuses={status: statuses.count(status) for status in sorted(set(statuses))},
        infra=len(scores) - len(judged),
        unsupported=statuses.count(Status.UNSUPPORTED.value),
        seconds=seconds,
        estimated=any(score.timing.estimated for score in judged if score.timing),
        overall=overall,
        levels=levels,
        families=[slice_of(str(family), part) for family, part in _parts(judged, lambda score: score.family or "–")],
        scores=tuple(scores),
    )


def slice_of(name: str, scores: Sequence[Score]) -> Slice:
    """Every figure of these scores (none of them INFRA), with intervals."""
    groups = by_task(scores)
    names, table = figure_sums(list(groups.values()))
    figures = dict(zip(names, _estimates(table), strict=True)) if groups else {}
    return Slice(name, len(groups), len(scores), figures)


def by_task(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Scores grouped by task content, in the order they come."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.task_key, []).append(score)
    return groups


def figure_sums(groups: Sequence[Sequence[Score]]) -> tuple[list[str], Matrix]:
    """What each task adds to each figure: an array (tasks, figures, 2) of numerators and denominators.

    Every figure is the ratio of two sums over tasks, which is what a bootstrap over tasks needs; `speedup` is the ratio
    in logarithms (the geometric mean over correct, timed samples). pass@k is given up to the fewest samples of a task.
    """
    fewest = min(map(len, groups), default=0)
    rows = [_sums_of_task(group, fewest) for group in groups]
    names = list(rows[0]) if rows else []
    return names, np.array([list(row.values()) for row in rows], dtype=np.float64).reshape(len(rows), len(names), 2)


def _sums_of_task(group: Sequence[Score], fewest: int) -> dict[str, tuple[float, float]]:
    count, right = len(group), sum(map(is_correct, group))
    speeds = [log(score.timing.speedup) for score in group if is_correct(score) and _timed(score) and score.timing]
    sums = {f"pass@{k}": (pass_at_k(count, right, k), 1.0) for k in range(1, fewest + 1)}
    sums["valid"] = (float(sum(score.verdict.valid is True for score in group)), count)
    sums["compiled"] = (float(sum(score.verdict.compiled is True for score in group)), count)
    sums["correct"] = (float(right), count)
    for p in FAST_P:
        sums[fast_name(p)] = (float(sum(is_fast(score, p) for score in group)), count)
    sums["speedup"] = (sum(speeds), len(speeds))
    return sums


def fast_name(p: float) -> str:
    """`fast_1`, `fast_0.5`."""
    return f"fast_{p:g}"


def _estimates(table: Matrix, seed: int = 0) -> list[Estimate]:
    """Each figure's value over all tasks and the middle 95 % of its bootstrap."""
    values = ratios(table.sum(axis=0)[None])[0]
    if len(table) < FEWEST_TASKS:
        return [Estimate(float(value), float("nan"), float("nan")) for value in values]
    drawn = ratios(resampled(table, seed))
    drawn[:, (table[:, :, 1] > 0).sum(axis=0) < FEWEST_TASKS] = np.nan
    return [Estimate(float(value), *interval(drawn[:, index])) for index, value in enumerate(values)]


def resampled(table: Matrix, seed: int = 0) -> Matrix:
    """Sums of `BOOTSTRAPS` draws of as many tasks with replacement: (BOOTSTRAPS, figures, 2), by the seed alone."""
    tasks = len(table)
    weights = np.random.default_rng(seed).multinomial(tasks, np.full(tasks, 1 / tasks), size=BOOTSTRAPS)
    sums: Matrix = np.einsum("bt,tfk->bfk", weights.astype(np.float64), table, optimize=True)
    return sums


def ratios(sums: Matrix) -> Matrix:
    """(…, figures, 2) sums to (…, figures) figures; nan where nothing was counted. The last figure is the speedup."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Matrix = sums[..., 0] / sums[..., 1]
    result[..., -1] = np.exp(result[..., -1])
    return result


def interval(drawn: Matrix) -> tuple[float, float]:
    """The middle 95 % of bootstrap values; nan where there are none."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def bootstrap_interval(groups: Sequence[Sequence[bool]], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the overall share, resampling whole groups (tasks) with replacement."""
    if not groups:
        return 0.0, 0.0
    table = np.array([[(sum(group), len(group))] for group in groups], dtype=np.float64)
    sums = resampled(table, seed)
    return interval(sums[:, 0, 0] / sums[:, 0, 1])


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The unbiased estimator 1 - C(n-c, k) / C(n, k) (Chen et al., arXiv 2107.03374, section 2.1)."""
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {samples} samples")
    return 1.0 - comb(samples - correct, k) / comb(samples, k)


def fast_p(scores: Sequence[Score], p: float) -> float:
    """Share of samples that are correct and at least `p` times as fast as the baseline (KernelBench, arXiv 2502.10517).

    fast_0 is the share that is correct; a correct kernel that nobody timed counts for fast_0 alone.
    """
    return _share(scores, lambda score: is_fast(score, p))


def is_correct(score: Score) -> bool:
    return score.verdict.correct is True


def is_fast(score: Score, p: float) -> bool:
    """Correct and, for p above 0, timed at `p` times the baseline's speed or more."""
    return is_correct(score) and (p <= 0 or (score.timing is not None and score.timing.speedup >= p))


def _timed(score: Score) -> bool:
    return score.timing is not None and isfinite(score.timing.speedup) and score.timing.speedup > 0


def _parts(scores: Sequence[Score], key: Callable[[Score], Any]) -> list[tuple[Any, list[Score]]]:
    found: dict[Any, list[Score]] = {}
    for score in scores:
        found.setdefault(key(score), []).append(score)
    return sorted(found.items())


def _share(scores: Sequence[Score], holds: Callable[[Score], bool]) -> float:
    return sum(map(holds, scores)) / len(scores) if scores else 0.0
