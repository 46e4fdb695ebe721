"""From raw times to a speedup with its uncertainty. Pure arithmetic; no clock, no device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from tritonrl_core.types import Timing, TimingProtocol


def timing_of(data: Mapping[str, Any], protocol: TimingProtocol, device: str) -> Timing:
    """Statistics of raw samples: trimmed means, and the interval of their ratio by the delta method."""
    mine = data["candidate_us"]
    theirs = {name: tuple(samples) for name, samples in data["baseline_us"].items()}
    first = theirs[protocol.baselines[0]]
    (a, da), (b, db) = _mean(mine, protocol.trim), _mean(first, protocol.trim)
    speedup = b / a
    half = 1.96 * speedup * ((da / a) ** 2 + (db / b) ** 2) ** 0.5
    return Timing(
        candidate_us=tuple(mine), baseline_us=theirs, speedup=speedup, speedup_low=max(0.0, speedup - half),
        speedup_high=speedup + half, device=device, method=protocol.method, clock="events",
    )  # fmt: skip


def _mean(samples: Sequence[float], trim: float) -> tuple[float, float]:
    """Trimmed mean and its standard error."""
    ordered = sorted(samples)
    cut = int(len(ordered) * trim)
    kept = ordered[cut : len(ordered) - cut] or ordered
    return fmean(kept), (stdev(kept) / len(kept) ** 0.5 if len(kept) > 1 else 0.0)
