"""What a run looks like while it runs: one live line in a terminal, a calm line now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

from tritonrl_core.cli.output import seconds_text, stderr
from tritonrl_core.train.progress import StepReport

LOG_EVERY_S = 20.0
"""Seconds between two lines where there is no terminal; the first and the last step are always told."""


class LiveProgress:
    """A `train.progress.Progress` that draws. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or stderr()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            transient=False,
        )
        self._row: TaskID | None = None
        self._told = 0.0

    def __enter__(self) -> LiveProgress:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._bar.stop()

    def begin(self, stage: str, total: int) -> None:
        if self.console.is_terminal:
            self._row = self._bar.add_task(stage, total=total, figures="")
        else:
            self.console.print(f"{stage}: {total} steps", highlight=False)
        self._told = 0.0

    def update(self, report: StepReport) -> None:
        figures = figures_text(report)
        if self.console.is_terminal and self._row is not None:
            self._bar.update(self._row, completed=report.step, figures=figures)
        elif report.step == report.total or time.monotonic() - self._told > LOG_EVERY_S:
            self._told = time.monotonic()
            self.console.print(f"{report.stage} {report.step}/{report.total} {figures}", highlight=False, markup=False)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)


def figures_text(report: StepReport) -> str:
    """`reward 0.42 · correct 38 % · levels 1: 90 % 2: 10 % · 1:20 left`."""
    parts = []
    if report.reward is not None:
        parts.append(f"reward {report.reward:.2f}")
    if report.correct_rate is not None:
        parts.append(f"correct {report.correct_rate:.0%}")
    if report.reward is None and report.loss is not None:
        parts.append(f"loss {report.loss:.3f}")
    if report.level_mix:
        parts.append("levels " + " ".join(f"{level}: {share:.0%}" for level, share in sorted(report.level_mix.items())))
    if report.step < report.total:
        parts.append(f"{seconds_text(report.seconds_left)} left")
    return " · ".join(parts)
