"""The live view: all of it in a terminal, calm in a log."""

from __future__ import annotations

import io
from dataclasses import replace
from random import Random

import pytest
from rich.console import Console

from tritonrl_core.cli import live
from tritonrl_core.cli.live import LiveProgress, verdict_line
from tritonrl_core.cli.output import SCREEN_LINES, SCREEN_WIDTH, STATUS_STYLE, one_screen, status_bar
from tritonrl_core.testing.samples import sample_group
from tritonrl_core.train.progress import StepReport
from tritonrl_core.types import Score, Status


def console(terminal: bool, width: int = 120) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def written(progress: LiveProgress) -> str:
    file = progress.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def at(step: int, total: int = 40) -> StepReport:
    return StepReport("rl", step, total, reward=0.5, correct_rate=0.25, level_mix={1: 0.9, 2: 0.1}, seconds_left=75)


def test_a_terminal_sees_progress_time_left_rates_and_the_last_verdicts() -> None:
    progress, scores = LiveProgress(console(terminal=True)), sample_group()
    with progress:
        progress.begin("rl", 40)
        progress.update(at(10))
        for score in scores * 3:
            progress.judged(score)
        view = _drawn(progress)
    assert "10/40" in view
    assert "reward 0.50 · correct 25% · levels 1: 90% 2: 10% · 1:15 left" in view
    assert "judged/s" in view
    assert view.count(scores[0].task_id) == live.LAST
    for status in {score.verdict.status for score in scores}:
        assert f"{status.value} {sum(score.verdict.status is status for score in scores) * 3}" in view
    assert "rl 10/40 in 0:00" in written(progress), "one line stays when the stage is over"


def test_in_a_narrow_terminal_bars_give_way_to_figures() -> None:
    progress, scores = LiveProgress(console(terminal=True, width=80)), sample_group()
    with progress:
        progress.begin("rl", 40)
        progress.update(at(10))
        for score in scores * 30:
            progress.judged(score)
        head, statuses, *_ = _drawn(progress, 80).splitlines()
    assert "levels 1: 90% 2: 10% · 1:15 left" in head
    assert statuses.rstrip().endswith("judged/s")
    for status in {score.verdict.status for score in scores}:
        assert f"{status.value} {sum(score.verdict.status is status for score in scores) * 30}" in statuses


def _drawn(progress: LiveProgress, width: int = 120) -> str:
    """The view as it stands now, on paper of the same width."""
    paper = console(terminal=False, width=width)
    paper.print(progress._view())
    assert isinstance(paper.file, io.StringIO)
    return paper.file.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = LiveProgress(console(terminal=False))
    with progress:
        progress.begin("rl", 40)
        for step in range(1, 41):
            progress.update(at(step))
            progress.judged(sample_group()[0])
    lines = written(progress).splitlines()
    assert [line.split(" reward")[0] for line in lines] == ["rl: 40 steps", "rl 1/40", "rl 40/40"]
    assert "\x1b" not in written(progress), "no control sequences in a file"
    progress.begin("held out, before", 1320)
    assert written(progress).splitlines()[-1] == "held out, before: 1,320 completions"
    monkeypatch.setattr(live, "LOG_EVERY_S", 0.0)
    busy = LiveProgress(console(terminal=False))
    busy.begin("rl", 40)
    for step in (1, 2, 3):
        busy.update(at(step))
    assert len(written(busy).splitlines()) == 4


def test_a_verdict_is_one_line_however_long_its_reason() -> None:
    score = next(score for score in sample_group() if score.verdict.status is Status.WRONG)
    line = verdict_line(_because(score, "line\nafter line " * 50), 80)
    assert len(line.plain) <= 80
    assert "\n" not in line.plain
    assert line.plain.strip().startswith("WRONG")


def _because(score: Score, reason: str) -> Score:
    return replace(score, verdict=replace(score.verdict, reason=reason))


def test_the_bar_of_statuses_has_its_width_and_a_colour_for_each() -> None:
    rng = Random(4)
    for _ in range(20):
        counts = {status: rng.randrange(1, 30) for status in rng.sample(list(Status), 4)}
        assert status_bar(counts, 32).plain.count("█") == 32
    assert set(STATUS_STYLE) == set(Status)


def test_an_error_is_one_screen_at_most() -> None:
    long = "\n".join(f"line {number}" for number in range(500))
    shown = one_screen(long).splitlines()
    assert len(shown) == SCREEN_LINES
    assert (shown[0], shown[-1]) == ("line 0", "line 499")
    assert "more lines" in "".join(shown)
    assert one_screen("short") == "short"
    assert len(one_screen("x" * 10_000)) == SCREEN_WIDTH
