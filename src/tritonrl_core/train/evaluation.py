"""The evaluation before, while and after training: the same held-out tasks, sampled and greedy. Trains nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from accelerate import PartialState

from tritonrl_core.evaluate import EvalReport, Scorer, evaluate_policy, figures
from tritonrl_core.preset import Preset
from tritonrl_core.tasks.suites import named_tasks
from tritonrl_core.train.faults import FaultLimit
from tritonrl_core.train.held_out import HeldOut, Shares
from tritonrl_core.train.model import Policy
from tritonrl_core.train.progress import Progress, StepReport
from tritonrl_core.train.ranks import from_all
from tritonrl_core.types import Score, Task


def evaluate_held_out(policy: Policy, preset: Preset, scorer: Scorer, progress: Progress, name: str) -> HeldOut:
    """Sample and judge; with several ranks each does its share of the tasks, and all get the result. `name` is what the
    watcher is shown.

    Raises `UsageError` for an unknown suite, `InfraError` where nothing can be judged.
    """
    tasks = _own_share(named_tasks(preset.eval.suite, preset.train.model, preset.tasks.size))
    length = int(preset.train.grpo.get("max_completion_length", 256))
    watched = _Watched(progress, name, len(tasks) * (preset.eval.samples + 1))

    def shares(samples: int, temperature: float) -> Shares:
        own = evaluate_policy(
            policy, tasks, scorer, samples=samples, temperature=temperature, max_new_tokens=length, seed=preset.seed,
            on_done=watched.count_from_here(), on_score=watched.judged,
        )  # fmt: skip
        return Shares.of(_together(own, temperature))

    return HeldOut(sampled=shares(preset.eval.samples, 1.0), greedy=shares(1, 0.0))


def _own_share(tasks: list[Task]) -> list[Task]:
    ranks = PartialState()
    return tasks[ranks.process_index :: ranks.num_processes]


def _together(own: EvalReport, temperature: float) -> EvalReport:
    """The report of all ranks' samples."""
    if PartialState().num_processes == 1:
        return own
    return figures.report(from_all(own.scores), temperature=temperature, seconds=own.seconds)


class _Watched:
    """An evaluation as a watcher sees it: how many samples of `total` are judged, and how long the others will take."""

    def __init__(self, progress: Progress, name: str, total: int) -> None:
        self._progress, self._name, self._total = progress, name, total
        self._done, self._first = 0, 0.0
        self._faults = FaultLimit()
        progress.begin(name, total)

    def judged(self, score: Score) -> None:
        self._progress.judged(score)
        self._faults(score)

    def count_from_here(self) -> Callable[[int], None]:
        """Takes how many were judged from now on."""
        before = self._done

        def tell(count: int) -> None:
            self._first = self._first or time.monotonic()  # what went before the first verdict says nothing of the pace
            self._done = before + count
            each = (time.monotonic() - self._first) / (self._done - 1) if self._done > 1 else 0.0
            left = each * (self._total - self._done)
            self._progress.update(StepReport(stage=self._name, step=self._done, total=self._total, seconds_left=left))

        return tell
