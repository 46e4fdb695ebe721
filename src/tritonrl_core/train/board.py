"""Figures as TensorBoard events, under names that say what they are of. Computes none of them.

TensorBoard groups by what stands before the first slash: reward, judged, status, level, optimiser, completions, time,
held_out, and each plugin's own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

NAMES: Mapping[str, str] = {
    "reward": "reward/mean",
    "reward_std": "reward/std",
    "rewards/correctness/mean": "reward/correctness",
    "rewards/correctness/std": "reward/correctness_std",
    "rewards/speed/mean": "reward/speed",
    "rewards/speed/std": "reward/speed_std",
    "frac_reward_zero_std": "reward/groups_without_spread",
    "correct_rate": "judged/correct",
    "valid_rate": "judged/valid",
    "compiled_rate": "judged/compiled",
    "cached_rate": "judged/known_before",
    "loss": "optimiser/loss",
    "grad_norm": "optimiser/grad_norm",
    "learning_rate": "optimiser/learning_rate",
    "entropy": "optimiser/entropy",
    "kl": "optimiser/kl",
    "mean_token_accuracy": "optimiser/token_accuracy",
    "num_tokens": "completions/tokens_so_far",
    "step_time": "time/step_s",
}
"""What the trainer logs, and what the board calls it. Other names keep theirs."""

LEFT_OUT = ("epoch", "total_flos", "train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second")


def board_name(logged: str) -> str:
    """`correct_rate` → `judged/correct`, `clip_ratio/low_mean` → `optimiser/clip_ratio_low_mean`."""
    if logged in NAMES:
        return NAMES[logged]
    if logged.startswith("clip_ratio/"):
        return "optimiser/" + logged.replace("/", "_")
    return logged if "/" in logged else f"other/{logged}"


class Board(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Writes each step's figures to `folder`. For the main process."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(log_dir=str(folder))

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        shown = {board_name(name): value for name, value in (logs or {}).items() if name not in LEFT_OUT}
        _write(self._writer, state.global_step, shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._writer.close()


def write_held_out(folder: Path, step: int, figures: Mapping[str, Any]) -> None:
    """One evaluation on held-out tasks, after so many steps."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(log_dir=str(folder)) as writer:
        _write(writer, step, {f"held_out/{name.replace('/', '_')}": value for name, value in figures.items()})


def _write(writer: Any, step: int, figures: Mapping[str, Any]) -> None:
    """The numbers among these, as events."""
    for name, value in figures.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            writer.add_scalar(name, value, step)
    writer.flush()
