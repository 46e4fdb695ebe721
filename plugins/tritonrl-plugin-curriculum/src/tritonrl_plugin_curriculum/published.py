"""The published schedule: a share of level 2 that grows each time level 1 goes well.

Starts at `start_p`, adds `step` whenever the mean correct rate of the last `window` level-1 groups is at least
`trigger`, and stops at `end_p`. After a change the window starts empty: what was seen under the old mix says nothing
about the new one, and without this one good streak would carry the share to its end within a few groups.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from tritonrl_core.types import Task

log = logging.getLogger(__name__)

EASY, HARD = 1, 2
"""The two levels that the schedule is about."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When to raise the share and by how much. `max_spread` bounds the window's highest minus lowest rate."""

    start_p: float
    end_p: float
    step: float
    trigger: float
    window: int
    max_spread: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One raise of the share of level 2, and what it was decided on."""

    step: int
    before: float
    after: float
    mean_rate: float
    reason: str


def next_change(rule: Rule, share: float, rates: Collection[float], step: int) -> Change | None:
    """The raise that these level-1 correct rates (the last ones, oldest first) call for, if any."""
    if share >= rule.end_p or len(rates) < rule.window:
        return None
    mean, spread = sum(rates) / len(rates), max(rates) - min(rates)
    if mean < rule.trigger or (rule.max_spread is not None and spread > rule.max_spread):
        return None
    # Rounded, so that a share is the figure that a reader would add up to.
    after = min(rule.end_p, round(share + rule.step, 9))
    reason = f"mean level-1 correct rate {mean:.2f} over the last {rule.window} groups is at least {rule.trigger:g}"
    if rule.max_spread is not None:
        reason += f" and their spread {spread:.2f} at most {rule.max_spread:g}"
    return Change(step, share, after, mean, reason)


class PublishedSchedule:
    """The running schedule: its share of level 2, the window, and every change so far. Not thread-safe by itself."""

    levels: tuple[int, ...] = (EASY, HARD)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.share = rule.start_p
        self.changes: list[Change] = []
        self._rates: deque[float] = deque(maxlen=rule.window)

    def sample(self, levels: Collection[int], step: int, rng: Random) -> int:
        """Level 2 with the current share, else level 1. One draw from `rng`."""
        return HARD if rng.random() < self.share else EASY

    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task | None:
        """Declines: the schedule is about levels, and a level's tasks come in turn."""
        return None

    def observe(self, level: int, task_key: str, family: str, correct: int, judged: int, step: int) -> None:
        """Take in one group: how many of its judged completions were correct."""
        if level != EASY:
            return
        self._rates.append(correct / judged)
        change = next_change(self.rule, self.share, self._rates, step)
        if change is None:
            return
        log.info("share of level 2: %.2f -> %.2f at step %d: %s", change.before, change.after, step, change.reason)
        self.changes.append(change)
        self.share = change.after
        self._rates.clear()

    def metrics(self, step: int) -> dict[str, float]:
        """The share, how full and how good the window is, and the last change with the rate that it was decided on."""
        figures = {
            "share_level_2": self.share,
            "window_groups": float(len(self._rates)),
            "changes": float(len(self.changes)),
        }
        if self._rates:
            figures["window_mean_rate"] = sum(self._rates) / len(self._rates)
            figures["window_spread"] = max(self._rates) - min(self._rates)
        if self.changes:
            last = self.changes[-1]
            figures |= {"last_change_step": float(last.step), "last_change_mean_rate": last.mean_rate}
        return figures

    def state(self) -> dict[str, Any]:
        return {"share": self.share, "rates": list(self._rates), "changes": [asdict(change) for change in self.changes]}

    def load(self, state: Mapping[str, Any]) -> None:
        self.share = float(state["share"])
        self._rates = deque(state["rates"], maxlen=self.rule.window)
        self.changes = [Change(**change) for change in state["changes"]]
