"""The tasks that are shipped beside the weights: what `tasks.suite: nano` in a preset means. Data, made by this module.

The shipped files are this module's output to the byte; a test holds them to it.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonrl_nano.recipe.tasks import nano_tasks

if TYPE_CHECKING:
    from tritonrl_core.types import Task

COUNTS = {"train": 512, "held_out": 64}
"""Tasks of each split; a run of 40 steps of 8 prompts meets each training task at most once."""

SEEDS = {"train": 0, "held_out": 2}
"""Which draw of each split is shipped. Draw 0 of the held-out tasks was looked at while the recipe and its number of
steps were chosen; this one was first drawn when both were fixed."""

FOLDER = Path(__file__).parents[1] / "suite"
"""Where the shipped files lie."""


def write_suite(folder: Path = FOLDER) -> dict[str, int]:
    """Write `train.jsonl` and `held_out.jsonl`; gives the number of tasks of each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in COUNTS:
        (folder / f"{split}.jsonl").write_text(suite_text(split), encoding="utf-8")
    return dict(COUNTS)


def suite_text(split: str) -> str:
    """A split as JSON lines, one task each, fields at their default left out."""
    tasks = nano_tasks(split, COUNTS[split], SEEDS[split])
    return "".join(json.dumps(_plain(task), sort_keys=True) + "\n" for task in tasks)


def _plain(task: Task) -> dict[str, Any]:
    left_out = {field.name: field.default for field in fields(task) if field.default is not MISSING}
    # The loader takes a task that does not say its mode as the file leaves it, so the mode is always said.
    return {
        name: value
        for name, value in asdict(task).items()
        if name == "mode" or (value and value != left_out.get(name) and name != "policy")
    }
