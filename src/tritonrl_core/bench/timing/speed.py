"""From raw times to a speedup with its uncertainty. Pure arithmetic; no clock, no device.

A sample set is times in microseconds by lane: the places in memory at which the same work ran in turn. The interval of
a speedup has three parts, added in squares:

- what a bootstrap of the trimmed means says, resampled within each lane;
- what the lanes' own means differ by beyond that: where a buffer lies matters, and another process gets other places;
- `REPEAT`: what the same measurement differs by between processes although neither shows (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from math import exp, fsum, log, sqrt
from statistics import fmean
from typing import Any

import numpy as np

from tritonrl_core.types import Status, Timing, TimingProtocol

Lanes = Sequence[Sequence[float]]

RESAMPLES = 1000
Z = 1.96

REPEAT = 0.002
REPEAT_US = 0.15
"""Half-width of the 95 % interval of a repeated measurement of the same thing: this share of it and this many
microseconds, whatever the samples say."""

DRIFT = 0.03
"""By what share a baseline must have changed before it is measured again: the same yardstick for all candidates of a
task is worth more than its last percent."""

BELIEVED = 0.9
"""A time below this share of the floor is not believed: the rest is for the rounding of clocks and data sheets."""


def trimmed_mean(samples: Sequence[float], trim: float) -> float:
    """The mean without the share `trim` of the samples at each end."""
    ordered = sorted(samples)
    cut = int(len(ordered) * trim)
    return fmean(ordered[cut : len(ordered) - cut] or ordered)


def standard_error(samples: Sequence[float], trim: float) -> float:
    """Of the trimmed mean, from the winsorised deviation (Tukey and McLaughlin, 1963); infinite for one sample."""
    count = len(samples)
    if count < 2:
        return float("inf")
    ordered = sorted(samples)
    cut = int(count * trim)
    low, high = ordered[cut], ordered[count - 1 - cut]
    winsorised = [low] * cut + ordered[cut : count - cut] + [high] * cut
    return sqrt(_variance(winsorised)) / ((1 - 2 * cut / count) * sqrt(count))


def _variance(values: Sequence[float]) -> float:
    """Of a sample of two or more. (`statistics.variance` calculates in fractions, at fifteen times the cost.)"""
    mean = fsum(values) / len(values)
    return fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def relative_half_width(lanes: Lanes, trim: float) -> float:
    """Half of the 95 % interval that more runs at the same places would narrow, as a share of the mean."""
    centred = _centred(lanes)
    return Z * standard_error(centred, trim) * _few(lanes) / max(trimmed_mean(centred, trim), 1e-9)


def timing_of(data: Mapping[str, Any], protocol: TimingProtocol, device: str) -> Timing:
    """What a replay worker's samples say (see `replay.timing.measure` for the fields of `data`)."""
    mine, theirs = data["candidate_us"], data["baseline_us"]
    speedups = {name: interval(mine, lanes, protocol.trim) for name, lanes in theirs.items()}
    if len(speedups) > 1:
        speedups["best"] = min(speedups.values())
    believed, why = _believable(mine, theirs, data.get("facts", {}).get("floor_us"), protocol.trim)
    speedup, low, high = speedups[protocol.baselines[0]]
    return Timing(
        candidate_us=_flat(mine), baseline_us={name: _flat(lanes) for name, lanes in theirs.items()},
        speedup=speedup, speedup_low=low, speedup_high=high, device=device, method=protocol.method, clock="events",
        notes=(*data.get("notes", ()), *([why] if why else [])), reward_allowed=believed, speedups=speedups,
        facts={**{name: value for name, value in data.get("facts", {}).items() if value is not None},
               "candidate_half_width": round(half_width(mine, protocol.trim), 6)},
    )  # fmt: skip


def went_wrong(status: Status, reason: str, protocol: TimingProtocol, device: str) -> Timing:
    """No speed, because a run that was timed was not right."""
    return Timing((), {}, 0.0, 0.0, 0.0, device, protocol.method, "events", reward_allowed=False, status=status,
                  reason=reason)  # fmt: skip


def interval(candidate: Lanes, baseline: Lanes, trim: float) -> tuple[float, float, float]:
    """Speedup (ratio of trimmed means) and the ends of its 95 % interval."""
    mine, theirs = _pooled(candidate, trim), _pooled(baseline, trim)
    logs = _resampled_logs(baseline, trim, seed=0) - _resampled_logs(candidate, trim, seed=1)
    low, high = np.quantile(logs, [0.025, 0.975])
    middle = log(theirs / mine)
    beyond = _beyond(candidate, trim) + _beyond(baseline, trim)
    few = max(_few(candidate), _few(baseline))
    down, up = (sqrt((few * (middle - end)) ** 2 + beyond) for end in (float(low), float(high)))
    return exp(middle), exp(middle - down), exp(middle + up)


def half_width(lanes: Lanes, trim: float) -> float:
    """Half of the 95 % interval of one side's time, as a share of it: what matters between candidates that are held
    against the same samples of the same baseline."""
    return sqrt(_square(lanes, trim))


def drifted(known: Lanes, now: Lanes, trim: float) -> float:
    """How far a few runs now are from a baseline measured before, as a share; 0 where that may be noise."""
    before, after = _pooled(known, trim), _pooled(now, trim)
    apart = after / before - 1
    noise = sqrt(_square(known, trim) + _square(now, trim))
    return apart if abs(apart) > max(DRIFT, 1.5 * noise) else 0.0


def _square(lanes: Lanes, trim: float) -> float:
    return relative_half_width(lanes, trim) ** 2 + _beyond(lanes, trim)


def _believable(mine: Lanes, theirs: Mapping[str, Lanes], floor_us: float | None, trim: float) -> tuple[bool, str]:
    """False where a time is under the floor, and why; the floor does not count where the trusted reference is under it
    too, which then need not move all of its tensors."""
    if floor_us is None:
        return True, ""
    fastest = min((_pooled(lanes, trim) for lanes in theirs.values()), default=0.0)
    took = _pooled(mine, trim)
    if took >= BELIEVED * floor_us or fastest < floor_us:
        return True, ""
    return False, f"{took:.2f} µs is less than the {floor_us:.2f} µs that moving its tensors takes: not believed"


def _pooled(lanes: Lanes, trim: float) -> float:
    return trimmed_mean(_flat(lanes), trim)


def _flat(lanes: Lanes) -> tuple[float, ...]:
    return tuple(chain.from_iterable(lanes))


def _centred(lanes: Lanes) -> list[float]:
    """All samples with the lanes' own levels taken out."""
    level = fmean(_flat(lanes))
    shifts = [(lane, level - fmean(lane)) for lane in lanes if lane]
    return [us + shift for lane, shift in shifts for us in lane]


def _few(lanes: Lanes) -> float:
    """By how much deviations within lanes come out too small, because each lane's mean comes from its own samples."""
    count, places = len(_flat(lanes)), sum(1 for lane in lanes if lane)
    return sqrt(count / max(count - places, 1))


def _resampled_logs(lanes: Lanes, trim: float, seed: int) -> Any:
    return _logs_of(tuple(map(tuple, lanes)), trim, seed)


@lru_cache(maxsize=256)
def _logs_of(lanes: tuple[tuple[float, ...], ...], trim: float, seed: int) -> Any:
    """Logarithms of the trimmed means of `RESAMPLES` samples drawn anew within each lane; kept, because many candidates
    are held against the same samples of one baseline."""
    places = _drawn(tuple(len(lane) for lane in lanes), seed)
    ordered = np.sort(np.asarray(_flat(lanes))[places], axis=1)
    cut = int(ordered.shape[1] * trim)
    return np.log(ordered[:, cut : ordered.shape[1] - cut].mean(axis=1))


@lru_cache(maxsize=8)
def _drawn(counts: tuple[int, ...], seed: int) -> Any:
    """Which of all samples each of `RESAMPLES` draws takes, where lanes have so many: the same for all candidates."""
    random = np.random.default_rng(seed)
    firsts = np.cumsum((0, *counts[:-1]))
    lanes = [(first, count) for first, count in zip(firsts, counts, strict=True) if count]
    return np.concatenate([first + random.integers(0, count, (RESAMPLES, count)) for first, count in lanes], axis=1)


def _beyond(lanes: Lanes, trim: float) -> float:
    return _beyond_of(tuple(map(tuple, lanes)), trim)


@lru_cache(maxsize=256)
def _beyond_of(lanes: tuple[tuple[float, ...], ...], trim: float) -> float:
    """Square of the relative half-width that samples of one lane do not show: between lanes, and between processes.
    Kept as `_logs_of` is."""
    level = _pooled(lanes, trim)
    several = [lane for lane in lanes if len(lane) > 1]
    between = 0.0
    if len(several) > 1:
        own = fmean(standard_error(lane, trim) ** 2 for lane in several)
        between = max(0.0, _variance([trimmed_mean(lane, trim) for lane in several]) - own) / len(several)
    repeat = REPEAT + REPEAT_US / level
    return Z**2 * between / level**2 + repeat**2
