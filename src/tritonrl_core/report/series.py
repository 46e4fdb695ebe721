"""Figures over a run's steps, with their spread. Draws nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np

from tritonrl_core.report.load import RunData
from tritonrl_core.types import Score, Status

MOST_POINTS = 240
"""Points of a curve: more steps than this share one."""

Z = 1.96

LEFT_OUT = ("epoch", "learning_rate", "num_tokens", "total_flos")
"""What the trainer logs and a reader need not see drawn."""


def step_series(run: RunData) -> dict[str, Any]:
    """Per bin of steps: reward, correct rate (mean and 95 % interval over groups), speedup of correct kernels (median
    and middle 80 %), counts by status, shares by level. {} where there is one step only.
    """
    bins = _bins([score for score in run.scores if score.step >= 0])
    if run.question is not None or len(bins) < 2:
        return {}
    rewards = [_mean_over_groups(part, lambda score: _reward(score, run.alpha)) for _, part in bins]
    rights = [_mean_over_groups(part, lambda score: score.reward.correctness) for _, part in bins]
    speeds = [_speeds(part) for _, part in bins]
    statuses = [Counter(score.verdict.status.value for score in part) for _, part in bins]
    levels = [Counter(score.level for score in part) for _, part in bins]
    return {
        "step": [step + 1 for step, _ in bins],
        "count": [len(part) for _, part in bins],
        "reward": _columns(rewards),
        "correct": _columns(rights),
        "speedup": _columns(speeds),
        "status": {
            status.value: [count.get(status.value, 0) for count in statuses]
            for status in Status
            if any(count.get(status.value) for count in statuses)
        },
        "level": {
            str(level): [round(count.get(level, 0) / count.total(), 4) for count in levels]
            for level in sorted({level for count in levels for level in count})
        },
    }


def held_out_series(run: RunData) -> dict[str, Any]:
    """Correct rate on held-out tasks by step, with its 95 % interval. {} where it was measured fewer than three times:
    before and after are told apart from a curve."""
    rows = sorted((row for row in run.metrics if row.get("stage") == "eval"), key=lambda row: int(row["step"]))
    if len(rows) < 3:
        return {}
    names = ("sampled/correct", "sampled/correct_low", "sampled/correct_high")
    figures = _columns([tuple(_number(row.get(name)) for name in names) for row in rows])  # type: ignore[misc]
    return {"step": [row["step"] for row in rows], **figures}


def metric_series(run: RunData) -> dict[str, dict[str, Any]]:
    """Every number that was logged, by stage and name, as {"rl": {"step": […], …}}; constant ones left out."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for row in run.metrics:
        if row.get("stage") != "eval":
            stages.setdefault(str(row.get("stage", "")), []).append(row)
    return {stage: _stage_series(_thinned(rows)) for stage, rows in stages.items() if len(rows) > 1}


def time_series(run: RunData) -> dict[str, Any]:
    """Wall seconds of each step: generation, verification and the rest (optimiser, saving). {} where none is known."""
    rows = _thinned([row for row in run.metrics if row.get("stage") == "rl" and "step_time" in row])
    if len(rows) < 2:
        return {}
    generation = [float(row.get("time/generation_s", 0.0)) for row in rows]
    verification = [float(row.get("time/verification_s", 0.0)) for row in rows]
    whole = [float(row["step_time"]) for row in rows]
    rest = [max(w - g - v, 0.0) for w, g, v in zip(whole, generation, verification, strict=True)]
    return {
        "step": [row["step"] for row in rows],
        "generation": _rounded(generation),
        "verification": _rounded(verification),
        "optimiser and the rest": _rounded(rest),
    }


def _bins(scores: Sequence[Score]) -> list[tuple[int, list[Score]]]:
    """Scores by step, neighbouring steps together where there are many; each bin under its last step."""
    by_step: dict[int, list[Score]] = {}
    for score in scores:
        by_step.setdefault(score.step, []).append(score)
    steps = sorted(by_step)
    width = -(-len(steps) // MOST_POINTS) or 1
    chunks = [steps[first : first + width] for first in range(0, len(steps), width)]
    return [(chunk[-1], [score for step in chunk for score in by_step[step]]) for chunk in chunks]


def _mean_over_groups(scores: Sequence[Score], value: Any) -> tuple[float | None, float | None, float | None]:
    """Mean over scores, and its 95 % interval from the spread of group means (samples of a group share a task)."""
    groups: dict[str, list[float]] = {}
    for score in scores:
        known = value(score)
        if known is not None:
            groups.setdefault(score.group, []).append(known)
    every = [known for group in groups.values() for known in group]
    if not every:
        return None, None, None
    mean, means = fmean(every), [fmean(group) for group in groups.values()]
    half = Z * stdev(means) / sqrt(len(means)) if len(means) > 1 else None
    return mean, None if half is None else max(mean - half, 0.0), None if half is None else mean + half


def _reward(score: Score, alpha: float) -> float | None:
    if score.reward.correctness is None:
        return None
    return score.reward.correctness + alpha * (score.reward.speed or 0.0)


def _speeds(scores: Sequence[Score]) -> tuple[float | None, float | None, float | None]:
    known = [
        score.timing.speedup
        for score in scores
        if score.timing and score.verdict.status is Status.PASSED and isfinite(score.timing.speedup)
    ]
    if not known:
        return None, None, None
    low, middle, high = np.quantile(known, (0.1, 0.5, 0.9))
    return float(middle), float(low), float(high)


def _columns(rows: Sequence[tuple[float | None, float | None, float | None]]) -> dict[str, list[float | None]]:
    return {name: _rounded([row[place] for row in rows]) for place, name in enumerate(("value", "low", "high"))}


def _thinned(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    width = -(-len(rows) // MOST_POINTS) or 1
    return list(rows[width - 1 :: width])


def _stage_series(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = {name: None for row in rows for name in row if name not in ("stage", "step", "time", *LEFT_OUT)}
    found: dict[str, Any] = {"step": [row["step"] for row in rows]}
    for name in names:
        values = [_number(row.get(name)) for row in rows]
        if len({value for value in values if value is not None}) > 1:
            found[name] = _rounded(values)
    return found


def _number(value: Any) -> float | None:
    """A finite number, or None: the journal writes nan and the infinities as strings."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.5g}") for value in values]
