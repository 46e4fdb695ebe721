"""Callbacks of the trainer: figures to `metrics.jsonl` and TensorBoard, progress to whoever watches, and the mark that
makes a checkpoint whole. They decide nothing about training.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from tritonrl_core.runs import Run
from tritonrl_core.train.progress import Progress, StepReport

STATE_FILE = "tritonrl_state.json"
"""Written last into a checkpoint: one without it was torn by a kill and does not count."""


class RunCallback(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Writes each step's figures to the run and tells the watcher. For the main process."""

    def __init__(self, run: Run, stage: str, progress: Progress) -> None:
        self._run = run
        self._stage = stage
        self._progress = progress
        self._began = time.perf_counter()
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began, self._first_step = time.perf_counter(), state.global_step
        self._progress.begin(self._stage, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        if not logs or "train_runtime" in logs:
            return
        self._run.append_metrics(self._stage, state.global_step, logs)
        done = max(state.global_step - self._first_step, 1)
        left = (time.perf_counter() - self._began) / done * (state.max_steps - state.global_step)
        self._progress.update(
            StepReport(
                stage=self._stage,
                step=state.global_step,
                total=state.max_steps,
                loss=logs.get("loss"),
                reward=logs.get("reward"),
                correct_rate=logs.get("correct_rate"),
                level_mix={
                    int(name.removeprefix("level/")): share for name, share in logs.items() if name.startswith("level/")
                },
                seconds_left=left,
            )
        )


class CheckpointMark(TrainerCallback):  # type: ignore[misc]
    """Completes a checkpoint with the state that TRL does not know, and syncs the run. For all ranks: the main process
    writes it when every rank has written what is its own.
    """

    def __init__(self, run: Run, state_to_save: Callable[[], Mapping[str, Any]]) -> None:
        self._run = run
        self._state_to_save = state_to_save

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        from accelerate import PartialState

        self._run.sync()
        ranks = PartialState()
        ranks.wait_for_everyone()
        if not ranks.is_main_process:
            return
        folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        half = folder / (STATE_FILE + ".tmp")
        half.write_text(json.dumps(self._state_to_save()))
        half.replace(folder / STATE_FILE)


class EvaluateEvery(TrainerCallback):  # type: ignore[misc]
    """Calls `evaluate(step)` after every so many steps, but not after the last one. For all ranks alike."""

    def __init__(self, every: int, evaluate: Callable[[int], None]) -> None:
        self._every = every
        self._evaluate = evaluate

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._every == 0 and state.global_step < state.max_steps:
            self._evaluate(state.global_step)


def latest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest whole checkpoint in a folder, with its step."""
    found = [
        (int(path.name.rsplit("-", 1)[1]), path)
        for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
        if path.name.rsplit("-", 1)[1].isdigit() and (path / STATE_FILE).is_file()
    ]
    return (max(found)[1], max(found)[0]) if found else None


def saved_state(checkpoint: Path) -> dict[str, Any]:
    """What `CheckpointMark` wrote."""
    state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_text())
    return state
