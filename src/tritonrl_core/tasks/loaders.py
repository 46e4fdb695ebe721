"""Tasks from a user's files: KernelBench-form references, folders of such, JSONL, and datasets on the hub.

A file may declare what may vary (`declared`). One that declares nothing varies values and layouts only. Nothing is
executed here and no torch is needed, except where a module that is left in training mode may change its own buffers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonrl_core.errors import TaskError
from tritonrl_core.tasks import lines
from tritonrl_core.tasks.dataset import fetched, level_in
from tritonrl_core.tasks.declared import declarations
from tritonrl_core.tasks.prompts import statement
from tritonrl_core.types import Task

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_STATEFUL = re.compile(r"Norm|register_buffer|\.add_\(|\.copy_\(")


def load_tasks(path: str | Path) -> list[Task]:
    """Tasks of a folder (searched in depth), a `.py` or `.jsonl` file, or a dataset by its hub name (`owner/name`).

    In the order of their names, or lines. Raises `TaskError` naming file, line and remedy at the first broken one.
    """
    place = find(path)
    if place is None:
        return _load_jsonl(fetched(str(path)))
    if place.is_dir():
        return _load_folder(place)
    return _load_jsonl(place) if place.suffix == ".jsonl" else [load_reference(place)]


def find(path: str | Path) -> Path | None:
    """The folder or file that is meant, None for a dataset's name. Raises `TaskError` where it can be neither."""
    place = Path(path)
    if place.exists():
        return place
    if place.suffix not in (".py", ".jsonl") and _HUB_NAME.fullmatch(str(path)) and not str(path).startswith("."):
        return None
    raise TaskError(
        f"no such file or folder: {path}", remedy="Give a folder, a .py or .jsonl file, or owner/name of a dataset."
    )


def load_reference(path: str | Path, task_id: str = "") -> Task:
    """The task of one file in KernelBench form. Raises `TaskError` where it is missing, unreadable or malformed."""
    place = Path(path)
    source = _read(place)
    return task_from_source(source, task_id or place.stem, level=level_in(place.parent.name), origin=str(path))


def task_from_source(source: str, task_id: str, *, level: int = 1, origin: str = "", **more: Any) -> Task:
    """A task from a reference's text and the literals it declares. `more` are further fields of `Task`."""
    declared = declarations(source, origin or task_id)
    task = Task(id=task_id, level=level, source=source, origin=origin, **{"mode": "as_is", **declared, **more})
    task = _with_mutated_buffers(task)
    return task if task.prompt else statement(task)


def load_what_can_be(path: str | Path) -> tuple[list[Task], list[TaskError]]:
    """As `load_tasks`, but a broken file of a folder does not keep the others from being loaded."""
    place = Path(path)
    if not place.is_dir():
        return load_tasks(path), []
    tasks, errors = [], []
    for file in _files(place):
        try:
            tasks.append(_load_from(place, file))
        except TaskError as error:
            errors.append(error)
    return tasks, errors


def _load_folder(folder: Path) -> list[Task]:
    return [_load_from(folder, file) for file in _files(folder)]


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*.py") if not path.name.startswith(("_", ".")))
    if not files:
        raise TaskError(f"{folder}: no .py files in this folder", remedy="Give a folder of files in KernelBench form.")
    return files


def _load_from(folder: Path, file: Path) -> Task:
    return load_reference(file, file.relative_to(folder).with_suffix("").as_posix())


def _load_jsonl(path: Path) -> list[Task]:
    tasks = []
    for number, line in enumerate(_read(path).split("\n"), start=1):  # JSON's strings may hold the other line breaks
        if line.strip():
            fields = lines.task_fields(line, f"{path}, line {number}")
            source, task_id = fields.pop("source"), fields.pop("id", f"{path.stem}-{number}")
            origin = fields.pop("origin", "") or str(path)
            tasks.append(task_from_source(source, task_id, origin=origin, **fields))
    if not tasks:
        raise TaskError(f"{path}: no task in this file", remedy=lines.FORM)
    return tasks


def _with_mutated_buffers(task: Task) -> Task:
    """Name the buffers that the reference's own forward changes, where it is left in a mode that may change some."""
    if task.mode == "eval" or task.mutated_buffers or not _STATEFUL.search(task.source):
        return task
    from tritonrl_core.tasks.trace import mutated_buffers

    return replace(task, mutated_buffers=mutated_buffers(task))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # as Python reads its own: with or without a byte order mark
    except FileNotFoundError:
        raise TaskError(f"no such file: {path}", remedy="Check the path.") from None
    except IsADirectoryError:
        raise TaskError(f"{path} is a folder", remedy="Name one file in it.") from None
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not UTF-8 text (byte {error.start})", remedy="Save the file as UTF-8.") from None
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}", remedy="Check its permissions.") from None
