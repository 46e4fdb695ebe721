"""The evaluation before and after training: the same held-out tasks, sampled and greedy. Trains nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tritonrl_core.evaluate import EvalReport, Scorer, evaluate_policy, tasks_to_judge_by
from tritonrl_core.preset import Preset
from tritonrl_core.train.model import Policy
from tritonrl_core.train.progress import Progress, StepReport


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One model on the preset's held-out suite: `eval.samples` a task at temperature 1, and one a task greedy."""

    sampled: EvalReport
    greedy: EvalReport

    def line(self) -> str:
        """The result in one line, with its 95 % interval and what it rests on."""
        s = self.sampled
        return (
            f"{s.correct:.1%} right at temperature 1 (95 % interval {s.correct_low:.1%} to {s.correct_high:.1%}; "
            f"{s.samples} samples of {s.tasks} tasks), {self.greedy.correct:.1%} greedy"
        )

    def figures(self) -> dict[str, Any]:
        """The same for `metrics.jsonl`."""
        return {
            f"{name}/{figure}": getattr(report, figure)
            for name, report in (("sampled", self.sampled), ("greedy", self.greedy))
            for figure in ("correct", "correct_low", "correct_high", "valid", "compiled", "samples", "infra", "seconds")
        }


def evaluate_held_out(policy: Policy, preset: Preset, scorer: Scorer, progress: Progress, name: str) -> HeldOut:
    """Sample and judge. `name` is what the watcher is shown. Raises `UsageError` for an unknown suite."""
    tasks = tasks_to_judge_by(preset.eval.suite, preset.train.model, preset.tasks.size)
    length = int(preset.train.grpo.get("max_completion_length", 256))
    total = len(tasks) * (preset.eval.samples + 1)
    progress.begin(name, total)
    done, began = 0, time.monotonic()

    def report(samples: int, temperature: float) -> EvalReport:
        def tell(count: int) -> None:
            judged = done + count
            left = (time.monotonic() - began) / judged * (total - judged)
            progress.update(StepReport(stage=name, step=judged, total=total, seconds_left=left))

        return evaluate_policy(
            policy,
            tasks,
            scorer,
            samples=samples,
            temperature=temperature,
            max_new_tokens=length,
            seed=preset.seed,
            on_done=tell,
            on_score=progress.judged,
        )

    sampled = report(preset.eval.samples, 1.0)
    done = len(tasks) * preset.eval.samples
    return HeldOut(sampled, report(1, 0.0))


def gain_lines(before: HeldOut | None, after: HeldOut | None) -> Sequence[str]:
    """What to print last."""
    lines = [f"{name}: {held.line()}" for name, held in (("before", before), ("after", after)) if held is not None]
    if before is not None and after is not None:
        gain = after.sampled.correct - before.sampled.correct
        greedy = after.greedy.correct - before.greedy.correct
        lines.append(f"gain: {100 * gain:+.1f} points at temperature 1, {100 * greedy:+.1f} greedy, on held-out tasks")
    return lines
