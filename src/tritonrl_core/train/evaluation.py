"""The evaluation before, while and after training: the same held-out tasks, sampled and greedy. Trains nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isnan
from typing import Any

from accelerate import PartialState

from tritonrl_core.evaluate import EvalReport, Scorer, evaluate_policy, figures
from tritonrl_core.preset import Preset
from tritonrl_core.tasks.suites import named_tasks
from tritonrl_core.train.faults import FaultLimit
from tritonrl_core.train.model import Policy
from tritonrl_core.train.progress import Progress, StepReport
from tritonrl_core.train.ranks import from_all
from tritonrl_core.types import Score


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


def evaluate_held_out(policy: Policy, preset: Preset, scorer: Scorer, progress: Progress, name: str) -> HeldOut:
    """Sample and judge; with several ranks each does its share of the tasks, and all get the result. `name` is what the
    watcher is shown.

    Raises `UsageError` for an unknown suite, `InfraError` where nothing can be judged.
    """
    ranks = PartialState()
    every = named_tasks(preset.eval.suite, preset.train.model, preset.tasks.size)
    tasks = every[ranks.process_index :: ranks.num_processes]
    length = int(preset.train.grpo.get("max_completion_length", 256))
    total = len(tasks) * (preset.eval.samples + 1)
    progress.begin(name, total)
    done, first = 0, 0.0
    faults = FaultLimit()

    def take(score: Score) -> None:
        progress.judged(score)
        faults(score)

    def report(samples: int, temperature: float) -> EvalReport:
        def tell(count: int) -> None:
            nonlocal first
            first = first or time.monotonic()  # what went before the first verdict says nothing of the pace
            judged = done + count
            left = (time.monotonic() - first) / (judged - 1) * (total - judged) if judged > 1 else 0.0
            progress.update(StepReport(stage=name, step=judged, total=total, seconds_left=left))

        own = evaluate_policy(
            policy,
            tasks,
            scorer,
            samples=samples,
            temperature=temperature,
            max_new_tokens=length,
            seed=preset.seed,
            on_done=tell,
            on_score=take,
        )
        if ranks.num_processes == 1:
            return own
        return figures.report(from_all(own.scores), temperature=temperature, seconds=own.seconds)

    sampled = report(preset.eval.samples, 1.0)
    done = len(tasks) * preset.eval.samples
    return HeldOut(Shares.of(sampled), Shares.of(report(1, 0.0)))


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
