"""What the held-out suite says of a model, and of one before and after training: figures, and lines for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritonrl_core.evaluate import EvalReport


@dataclass(frozen=True, slots=True)
class Shares:
    """What is kept of a report: shares of the judged samples, the 95 % interval of `correct`, and what they rest on.

    `levels` has the share that is correct by level.
    """

    correct: float
    correct_low: float
    correct_high: float
    valid: float
    compiled: float
    samples: int
    tasks: int
    infra: int
    seconds: float
    levels: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, report: EvalReport) -> Shares:
        return cls(**{name: getattr(report, name) for name in FIGURES}, levels=dict(report.by_level))


FIGURES = tuple(item.name for item in fields(Shares) if item.name != "levels")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One model on the preset's held-out suite: `eval.samples` a task at temperature 1, and one a task greedy."""

    sampled: Shares
    greedy: Shares

    def line(self) -> str:
        """The result in one line, with its 95 % interval and what it rests on."""
        s = self.sampled
        interval = f"95 % interval {s.correct_low:.1%} to {s.correct_high:.1%}"
        if isnan(s.correct_low):
            interval = "too few tasks for an interval"
        return (
            f"{s.correct:.1%} right at temperature 1 ({interval}; {s.samples} samples of {s.tasks} tasks), "
            f"{self.greedy.correct:.1%} greedy"
        )

    def figures(self) -> dict[str, Any]:
        """The same for `metrics.jsonl`."""
        found: dict[str, Any] = {}
        for name, shares in (("sampled", self.sampled), ("greedy", self.greedy)):
            found |= {f"{name}/{key}": getattr(shares, key) for key in FIGURES}
            found |= {f"{name}/correct_level_{level}": share for level, share in shares.levels.items()}
        return found

    @classmethod
    def from_figures(cls, row: Mapping[str, Any]) -> HeldOut | None:
        """Back from a row of `metrics.jsonl`; None where it does not say all of it."""
        try:
            sampled, greedy = (
                Shares(**{key: _number(row[f"{name}/{key}"]) for key in FIGURES}, levels=_levels(row, name))
                for name in ("sampled", "greedy")
            )
        except KeyError:
            return None
        return cls(sampled, greedy)


def _levels(row: Mapping[str, Any], name: str) -> dict[int, float]:
    start = f"{name}/correct_level_"
    return {int(key.removeprefix(start)): _number(value) for key, value in row.items() if key.startswith(start)}


def _number(value: Any) -> Any:
    # JSON has no nan; the journal writes it as text.
    return float(value) if isinstance(value, str) else value


def gain_lines(before: HeldOut | None, after: HeldOut | None) -> Sequence[str]:
    """What to print last."""
    lines = [f"{name}: {held.line()}" for name, held in (("before", before), ("after", after)) if held is not None]
    if before is not None and after is not None:
        gain = after.sampled.correct - before.sampled.correct
        greedy = after.greedy.correct - before.greedy.correct
        levels = sorted(before.sampled.levels.keys() & after.sampled.levels.keys())
        if len(levels) > 1:
            shares = ((level, before.sampled.levels[level], after.sampled.levels[level]) for level in levels)
            parts = (f"level {level} {first:.0%} -> {last:.0%}" for level, first, last in shares)
            lines.append(f"by level, at temperature 1: {', '.join(parts)}")
        lines.append(f"gain: {100 * gain:+.1f} points at temperature 1, {100 * greedy:+.1f} greedy, on held-out tasks")
    return lines
