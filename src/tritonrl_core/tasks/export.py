"""Tasks and solutions as rows on disk: what `load_tasks` reads back, and what TRL's SFT trains on. No torch here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tritonrl_core.errors import UsageError
from tritonrl_core.tasks.prompts import chat_messages, compact_prompt, completion_text
from tritonrl_core.types import Candidate, Task

STYLES = ("chat", "compact")
"""Prompts for chat models, and for the bundled small one."""


def task_row(task: Task) -> dict[str, Any]:
    """A task as one object of a `.jsonl` file; `load_tasks` gives it back."""
    return asdict(task)


def solution_row(
    task: Task, solution: Candidate, style: str = "chat", delegation: str = "layout_only"
) -> dict[str, Any]:
    """A solution as a row that TRL's `SFTTrainer` takes: `prompt` and `completion`, and the task's id beside them."""
    answer = completion_text(solution.plan, solution.code)
    if style == "chat":
        completion: Any = [{"role": "assistant", "content": answer}]
        return {"prompt": chat_messages(task, delegation), "completion": completion, "task_id": task.id}
    if style == "compact":
        return {"prompt": compact_prompt(task), "completion": answer, "task_id": task.id}
    raise UsageError(f"there is no style {style!r}", remedy=f"Use one of {', '.join(STYLES)}.")


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write rows into a `.jsonl` file, or into a folder that `datasets.load_from_disk` reads; how many there were.

    A file is there whole or not at all. Raises `UsageError` where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jsonl":
            return _write_jsonl(rows, path)
        return _write_dataset([dict(row) for row in rows], path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror or error}",
            remedy="Name a .jsonl file, or a folder for a dataset, in a place that you may write to.",
        ) from None


def _write_jsonl(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    partial, count = path.with_suffix(f".{os.getpid()}"), 0
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    partial.replace(path)
    return count


def _write_dataset(rows: list[dict[str, Any]], path: Path) -> int:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(str(path))
    return len(rows)
