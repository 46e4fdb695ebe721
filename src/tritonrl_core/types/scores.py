"""What a verdict is worth: speed, reward, advantages, and what training has seen.

Times are microseconds (`_us`) or seconds (`_s`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tritonrl_core.types.verdicts import Candidate, Status, Verdict


@dataclass(frozen=True, slots=True)
class TimingProtocol:
    """How to time a program; the bench carries it out, alone on its device.

    `method`: `simple` (the mean of a few synchronised runs), `published` (always `warmup` and `trials` runs) or
    `adaptive` (those are upper bounds: it stops when half of the 95 % confidence interval is at most `ci` of the mean,
    or `budget_s` seconds are spent). These two time candidate and baselines alike, as captured graphs of their plans,
    in turn, at `captures` different places in memory. `trim` is the share cut off each end.
    """

    method: str = "simple"
    warmup: int = 3
    trials: int = 10
    trim: float = 0.0
    ci: float = 0.01
    budget_s: float = 1.0
    baselines: tuple[str, ...] = ("eager",)
    """The first is what `speedup` is against: `eager`, or `compiled` (torch.compile)."""
    captures: int = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Raw samples of candidate and baselines, and what follows from them.

    `clock` is `events` (measured on the device) or `estimated` (computed from traffic; never a measurement).
    `speedup` is against the first baseline; `speedup_low`/`high` bound its 95 % confidence interval. `speedups` has the
    same three figures by baseline, and for `best` of them where there are several. `facts` is what else was noted of
    the measurement: clocks, floor, wall-clock times, time on the GPU. `status` is other than PASSED where the timed
    runs themselves went wrong; `reason` says how, and there is no speed.
    """

    candidate_us: tuple[float, ...]
    baseline_us: Mapping[str, tuple[float, ...]]
    speedup: float
    speedup_low: float
    speedup_high: float
    device: str
    method: str
    clock: str
    source: str = ""
    notes: tuple[str, ...] = ()
    reward_allowed: bool = True
    """False where the figure must not enter a reward (an estimate whose agreement with measurement is not shown)."""
    speedups: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    status: Status = Status.PASSED
    reason: str = ""

    @property
    def estimated(self) -> bool:
        return self.clock == "estimated"


@dataclass(frozen=True, slots=True)
class RewardParts:
    """The two halves of a reward; None means "left out" (INFRA), never zero."""

    correctness: float | None
    speed: float | None


SCORE_SCHEMA = 1
"""Version of one line of `scores.jsonl`; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class Score:
    """One line of `scores.jsonl`: a candidate, how it was judged, how fast it is and what it earned."""

    task_id: str
    level: int
    task_key: str
    candidate: Candidate
    verdict: Verdict
    timing: Timing | None
    reward: RewardParts
    family: str = ""
    step: int = -1
    group: str = ""
    cached: bool = False
    seconds: float = 0.0
    schema: int = SCORE_SCHEMA

    def at(self, *, step: int, group: str) -> Score:
        """The same score, placed in a training run."""
        return replace(self, step=step, group=group)


@dataclass(frozen=True, slots=True)
class Credit:
    """Advantages of one completion: one number for its plan tokens, one for its code tokens."""

    plan: float
    code: float


@dataclass(frozen=True, slots=True)
class LevelStats:
    """What training has seen of one level so far."""

    level: int
    groups: int = 0
    candidates: int = 0
    correct: int = 0

    @property
    def correct_rate(self) -> float:
        return self.correct / self.candidates if self.candidates else 0.0
