"""What a run looks like while it runs: a live view in a terminal, a calm line now and then in a log.

A `train.progress.Progress`; training and evaluation share it.
"""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tritonrl_core.cli.output import seconds_text, status_bar, status_text, stderr
from tritonrl_core.train.progress import StepReport
from tritonrl_core.types import Score, Status

LOG_EVERY_S = 20.0
"""Seconds between two lines where there is no terminal; the first and the last step are always told."""

LAST = 5
"""Verdicts kept in sight."""

BAR_WIDTH = 32
"""Cells of a bar, at most: in a narrow terminal what stands beside it goes first."""

STATUS_WIDTH = 14

OF_STEPS = ("sft", "rl")
"""Stages that are counted in steps of the optimiser; all others are counted in completions."""


class LiveProgress:
    """Draws progress, rates and the last verdicts. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or stderr()
        self._stage, self._total, self._step = "", 0, 0
        self._figures, self._left = "", 0.0
        self._began = self._told = 0.0
        self._counts: Counter[Status] = Counter()
        self._last: tuple[Score, ...] = ()
        self._live = Live(console=self.console, get_renderable=self._view, refresh_per_second=4, transient=True)

    def __enter__(self) -> LiveProgress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._end_stage()
            self._live.stop()

    def begin(self, stage: str, total: int) -> None:
        """A stage of `total` steps starts; one of none is not shown."""
        self._end_stage()
        if not total:
            self._stage = ""
            return
        self._stage, self._total, self._step = stage, total, 0
        self._figures, self._left, self._told, self._began = "", 0.0, 0.0, time.monotonic()
        self._counts, self._last = Counter(), ()
        if not self.console.is_terminal:
            counted = ("step" if stage in OF_STEPS else "completion") + "s" * (total != 1)
            self.console.print(f"{stage}: {total:,} {counted}", highlight=False, markup=False)

    def update(self, report: StepReport) -> None:
        """A step is done."""
        self._step, self._figures, self._left = report.step, figures_text(report), report.seconds_left
        self._tell()

    def judged(self, score: Score) -> None:
        """A completion is judged."""
        self._counts[score.verdict.status] += 1
        self._last = (*self._last[-LAST + 1 :], score)

    def say(self, text: str) -> None:
        """One line for a person."""
        self.console.print(text, highlight=False, markup=False)

    def left(self, done: int) -> float:
        """Seconds left of this stage after `done` steps, at the pace so far."""
        return (time.monotonic() - self._began) / max(done, 1) * (self._total - done)

    def _tell(self) -> None:
        """In a log: the first and the last step, and a line every `LOG_EVERY_S` between."""
        if self.console.is_terminal:
            return
        now = time.monotonic()
        if self._step == self._total or now - self._told > LOG_EVERY_S:
            self._told = now
            line = f"{self._stage} {self._step}/{self._total} {self._line()}".rstrip()
            self.console.print(line, highlight=False, markup=False)

    def _line(self) -> str:
        left = f"{seconds_text(self._left)} left" if self._left > 0 and self._step < self._total else ""
        return " · ".join(part for part in (self._figures, left) if part)

    def _end_stage(self) -> None:
        """What stays on the screen of a stage that is over: one line."""
        if self.console.is_terminal and self._stage and self._step:
            took = seconds_text(time.monotonic() - self._began)
            self.console.print(
                Text.assemble((self._stage, "bold"), f" {self._step}/{self._total} in {took}  ", self._figures)
            )

    def _view(self) -> Group:
        """The live view: the bar, the figures, the statuses so far, the last verdicts."""
        if not self._stage:
            return Group()
        head = Table.grid(padding=(0, 1))
        width, steps, line = self.console.width, f"{self._step}/{self._total}", self._line()
        room = width - len(self._stage) - len(steps) - len(line) - 4  # a space between columns, and one at the end
        cells = max(1, min(BAR_WIDTH, room))
        bar = ProgressBar(total=max(self._total, 1), completed=self._step, width=cells)
        head.add_row(Text(self._stage, style="bold"), bar, steps, Text(line))
        parts: list[Table | Text] = [head]
        if self._counts:
            pace = f"   {self._counts.total() / max(time.monotonic() - self._began, 1e-9):.1f} judged/s"
            room = width - status_bar(self._counts, 0).cell_len - len(pace)
            parts.append(status_bar(self._counts, max(0, min(BAR_WIDTH, room))).append(pace, style="dim"))
            parts += [verdict_line(score, width) for score in self._last]
        return Group(*parts)


def verdict_line(score: Score, width: int) -> Text:
    """One verdict in one line: status, task, and the speed or the reason."""
    line = Text("  ").append_text(status_text(score.verdict.status))
    line.pad_right(max(STATUS_WIDTH + 2 - len(line), 1))
    line.append(f"{score.task_id}  ", style="default not bold")
    speed = f"{score.timing.speedup:.2f}×" + (" estimated" if score.timing.estimated else "") if score.timing else ""
    said = speed if score.verdict.status is Status.PASSED else " ".join(score.verdict.reason.split())
    line.append(said, style="dim not bold")
    line.truncate(max(width - 1, 20), overflow="ellipsis")
    return line


def figures_text(report: StepReport) -> str:
    """`reward 0.42 · correct 38 % · levels 1: 90 % 2: 10 %`."""
    parts = []
    if report.reward is not None:
        parts.append(f"reward {report.reward:.2f}")
    if report.correct_rate is not None:
        parts.append(f"correct {report.correct_rate:.0%}")
    if report.reward is None and report.loss is not None:
        parts.append(f"loss {report.loss:.3f}")
    if report.level_mix:
        parts.append("levels " + " ".join(f"{level}: {share:.0%}" for level, share in sorted(report.level_mix.items())))
    return " · ".join(parts)
