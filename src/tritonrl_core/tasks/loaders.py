"""Tasks from a user's files: KernelBench-form references, folders of such, JSONL, and datasets on the hub.

A file may declare what may vary, as literals at module level: `VARY = {"ROWS": [17, 64]}`, `DTYPES = ["float16"]`,
`MODE = "eval"`. One that declares nothing varies values and layouts only. Nothing is executed here and no torch is
needed, except where a module that is left in training mode may change its own buffers.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tritonrl_core import hub
from tritonrl_core.bench.constants import integer_constants
from tritonrl_core.errors import TaskError
from tritonrl_core.syntax import parse
from tritonrl_core.tasks.prompts import statement
from tritonrl_core.types import Policy, Task

log = logging.getLogger(__name__)

KERNELBENCH = "ScalingIntelligence/KernelBench"
"""Hub name of the KernelBench dataset."""

MODES = ("eval", "train", "as_is")
FORM = ("Model", "get_inputs", "get_init_inputs")
_DECLARED = ("VARY", "DTYPES", "MODE")
_LINE = "Each line is one JSON object with `id` and `source`."
_PYTHON = "Correct the reference; it must be Python in KernelBench form."
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_LEVEL = re.compile(r"level_?(\d+)", re.IGNORECASE)
_STATEFUL = re.compile(r"Norm|register_buffer|\.add_\(|\.copy_\(")


def load_tasks(path: str | Path) -> list[Task]:
    """Tasks of a folder (searched in depth), a `.py` or `.jsonl` file, or a dataset by its hub name (`owner/name`).

    In the order of their names, or lines. Raises `TaskError` naming file, line and remedy at the first broken one.
    """
    place = Path(path)
    if place.is_dir():
        return _load_folder(place)
    if place.suffix == ".jsonl" and place.is_file():
        return _load_jsonl(place)
    if place.suffix == ".py" or place.exists():
        return [load_reference(place)]
    if _HUB_NAME.fullmatch(str(path)) and not str(path).startswith("."):
        return load_hub(str(path))
    raise TaskError(
        f"no such file or folder: {path}", remedy="Give a folder, a .py or .jsonl file, or owner/name of a dataset."
    )


def load_reference(path: str | Path, task_id: str = "") -> Task:
    """The task of one file in KernelBench form. Raises `TaskError` where it is missing, unreadable or malformed."""
    place = Path(path)
    source = _read(place)
    level = _LEVEL.search(str(place.parent.name))
    return task_from_source(source, task_id or place.stem, level=int(level[1]) if level else 1, origin=str(path))


def task_from_source(source: str, task_id: str, *, level: int = 1, origin: str = "", **more: Any) -> Task:
    """A task from a reference's text and the literals it declares. `more` are further fields of `Task`."""
    declared = _declarations(source, origin or task_id)
    task = Task(id=task_id, level=level, source=source, origin=origin, **{"mode": "as_is", **declared, **more})
    task = _with_mutated_buffers(task)
    return task if task.prompt else statement(task)


def load_hub(name: str = KERNELBENCH) -> list[Task]:
    """Tasks of a dataset on the hub with columns `code`, `name` and `level`, from the local cache where it is there.

    Fetching needs the network once; afterwards the tasks are read from `$TRITONRL_CACHE` (default
    `~/.cache/tritonrl`). Raises `TaskError`.
    """
    cached = cache_folder() / "datasets" / f"{name.replace('/', '--')}.jsonl"
    if not cached.is_file():
        rows = list(_fetch(name))
        if not rows:
            raise TaskError(f"dataset {name} has no column `code`", remedy="Name a dataset in KernelBench form.")
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}")
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        partial.replace(cached)
    return _load_jsonl(cached)


def cache_folder() -> Path:
    """Where tasks keep what they need not fetch or compute twice."""
    return Path(os.environ.get("TRITONRL_CACHE") or Path.home() / ".cache" / "tritonrl")


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
            tasks.append(_task_from_line(line, f"{path}, line {number}", origin=str(path), number=number))
    if not tasks:
        raise TaskError(f"{path}: no task in this file", remedy=_LINE)
    return tasks


def _task_from_line(line: str, where: str, *, origin: str, number: int) -> Task:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise TaskError(f"{where}: not JSON: {error.msg}", remedy=_LINE) from None
    if not isinstance(row, dict) or not isinstance(row.get("source"), str):
        raise TaskError(f"{where}: no `source`", remedy=_LINE)
    known = {field.name for field in fields(Task)}
    for key in row:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"The fields are {', '.join(sorted(known))}."
            raise TaskError(f"{where}: unknown field {key!r}", remedy=remedy)
    source, task_id = row.pop("source"), str(row.pop("id", f"{Path(origin).stem}-{number}"))
    more = {key: _converted(key, value, where) for key, value in row.items() if key != "origin"}
    return task_from_source(source, task_id, origin=row.get("origin") or origin, **more)


def _converted(key: str, value: Any, where: str) -> Any:
    """A field of `Task` from what JSON has for it. Raises `TaskError`."""
    try:
        return _CONVERT[key](value) if key in _CONVERT else value
    except (TypeError, ValueError, AttributeError):
        shown = json.dumps(value)
        raise TaskError(
            f"{where}: {key} is {shown if len(shown) <= 60 else shown[:59] + '…'}",
            remedy="`tritonrl tasks generate` writes files in this form.",
        ) from None


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "level": int,
    "mode": lambda value: MODES[MODES.index(value)],
    "vary": lambda value: {name: tuple(choices) for name, choices in value.items()},
    "dtypes": tuple,
    "mutated_buffers": tuple,
    "policy": lambda value: Policy(**{**value, "forbidden_builtins": tuple(value.get("forbidden_builtins", ()))}),
}


def _declarations(source: str, where: str) -> dict[str, Any]:
    """The literals that a reference declares about itself, checked. Raises `TaskError`."""
    try:
        tree = parse(source)
    except SyntaxError as error:
        line = f", line {error.lineno}: {error.msg}: {(error.text or '').strip()}" if error.lineno else f": {error.msg}"
        raise TaskError(where + line, remedy=_PYTHON) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise TaskError(f"{where}: {str(error) or 'it is nested too deeply'}", remedy=_PYTHON) from None
    _check_form(tree, where)
    values = {name: _literal(node, where) for node in tree.body for name in _names(node) if name in _DECLARED}
    declared: dict[str, Any] = {}
    if "VARY" in values:
        declared["vary"] = _check_vary(values["VARY"], integer_constants(source), where)
    if "DTYPES" in values:
        declared["dtypes"] = _check_dtypes(values["DTYPES"], where)
    if "MODE" in values:
        if values["MODE"] not in MODES:
            raise TaskError(f"{where}: MODE is {values['MODE']!r}", remedy=f"Use one of {', '.join(MODES)}.")
        declared["mode"] = values["MODE"]
    return declared


def _check_form(tree: ast.Module, where: str) -> None:
    names = {name for node in tree.body for name in _names(node)}
    if "*" in names:
        return
    for name in FORM:
        if name not in names:
            raise TaskError(
                f"{where}: does not define `{name}`",
                remedy="A reference in KernelBench form defines Model, get_inputs and get_init_inputs.",
            )


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _literal(node: ast.stmt, where: str) -> Any:
    try:
        return ast.literal_eval(node.value) if isinstance(node, ast.Assign | ast.AnnAssign) and node.value else None
    except ValueError:
        raise TaskError(
            f"{where}, line {node.lineno}: a declaration must be a literal",
            remedy='Write it out: `VARY = {"ROWS": [17, 64]}`.',
        ) from None


def _check_dtypes(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TaskError(f"{where}: DTYPES is {value!r}", remedy='Write `DTYPES = ["float16"]`.')
    return tuple(value)


def _check_vary(value: Any, constants: Mapping[str, int], where: str) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, dict):
        raise TaskError(f"{where}: VARY is not a dict", remedy='Write `VARY = {"ROWS": [17, 64]}`.')
    for name, choices in value.items():
        if name not in constants:
            near = get_close_matches(str(name), constants, n=1)
            raise TaskError(
                f"{where}: VARY names {name!r}, which is no integer constant of the file",
                remedy=f"Did you mean {near[0]!r}?" if near else "Assign it at module level: `ROWS = 48`.",
            )
        if not isinstance(choices, list | tuple) or not choices or not all(type(one) is int for one in choices):
            raise TaskError(f"{where}: VARY[{name!r}] is {choices!r}", remedy="Give a list of integers.")
    return {name: tuple(choices) for name, choices in value.items()}


def _with_mutated_buffers(task: Task) -> Task:
    """Name the buffers that the reference's own forward changes, where it is left in a mode that may change some."""
    if task.mode == "eval" or task.mutated_buffers or not _STATEFUL.search(task.source):
        return task
    from dataclasses import replace

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


def _fetch(name: str) -> Iterable[dict[str, Any]]:
    """Rows of a dataset as JSONL fields. The boundary to the hub: whatever goes wrong becomes one message."""
    remedy = "Connect to the network once, or download its files and give their folder instead."
    reason = hub.missing("dataset", name)
    if reason:
        raise TaskError(f"dataset {name}: not in the local cache, and {reason}", remedy=remedy)
    try:
        from datasets import load_dataset

        splits = load_dataset(name)
    except Exception as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TaskError(f"dataset {name}: could not be fetched: {cause}", remedy=remedy) from error
    for split, rows in splits.items():
        level = _LEVEL.search(str(split))
        for number, row in enumerate(rows):
            if isinstance(row.get("code"), str):
                task_id = str(row.get("name") or f"{split}-{number}")
                rank = int(row.get("level") or (level[1] if level else 1))
                yield {"id": task_id, "source": row["code"], "level": rank}
