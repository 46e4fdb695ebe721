"""Tasks and solutions as rows on disk: what `load_tasks` reads back, and what TRL's SFT trains on. No torch here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jsonl":
            return _write_jsonl(rows, path)
        return _write_dataset([dict(row) for row in rows], path)


class RowsAsTheyCome:
    """Rows that are written one by one, so that what there is stays when the work is ended: into a `.jsonl` file, or,
    for a folder, into `FOLDER.jsonl` until `finish`. All methods raise `UsageError` where nothing can be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines = path if path.suffix == ".jsonl" else path.with_name(f"{path.name}.jsonl")

    def exists(self) -> bool:
        """Whether there are rows already, finished or not."""
        return self._path.exists() or self.lines.exists()

    def rows(self) -> list[dict[str, Any]]:
        """The rows so far; a last line that was cut off is none."""
        if not self.lines.exists():
            return []
        text = self.lines.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.lines.write_text(whole, encoding="utf-8")
        return [json.loads(line) for line in whole.splitlines()]

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one row down."""
        with _writing(self._path):
            self.lines.parent.mkdir(parents=True, exist_ok=True)
            with self.lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def finish(self) -> int:
        """Make of the rows what was asked for; how many there are."""
        rows = self.rows()
        with _writing(self._path):
            if self.lines != self._path:
                _write_dataset(rows, self._path)
                self.lines.unlink(missing_ok=True)
            elif not rows:
                self._path.touch()
        return len(rows)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
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
