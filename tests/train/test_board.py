"""TensorBoard gets every number under a name that says what it is of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tritonrl_core.train.board import NAMES, Board, board_name, write_held_out


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_each_step_is_written_under_its_clear_name(tmp_path: Path) -> None:
    board = Board(tmp_path)
    for step in (1, 2):
        logs = {"correct_rate": 0.25 * step, "loss": 1.0 / step, "epoch": 0.1, "status/PASSED": 0.5, "note": "text"}
        board.on_log(None, SimpleNamespace(global_step=step), None, logs=logs)
    board.on_train_end(None, None, None)
    found = scalars(tmp_path)
    assert set(found) == {"judged/correct", "optimiser/loss", "status/PASSED"}
    assert found["judged/correct"] == [(1, 0.25), (2, 0.5)]


def test_held_out_results_lie_beside_them(tmp_path: Path) -> None:
    write_held_out(tmp_path, 0, {"sampled/correct": 0.25, "when": "before"})
    write_held_out(tmp_path, 30, {"sampled/correct": 0.75})
    assert scalars(tmp_path)["held_out/sampled_correct"] == [(0, 0.25), (30, 0.75)]


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        ("reward", "reward/mean"),
        ("clip_ratio/low_mean", "optimiser/clip_ratio_low_mean"),
        ("curriculum/share_level_2", "curriculum/share_level_2"),
        ("level/2", "level/2"),
        ("something_new", "other/something_new"),
    ],
)
def test_names(logged: str, shown: str) -> None:
    assert board_name(logged) == shown


def test_no_two_figures_share_a_name() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
