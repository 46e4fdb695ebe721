"""A "model" that is a set of completions: a JSONL file, a folder of such, or KernelBench's folder of kernels.

Reads; generates and judges nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonrl_core.errors import UsageError, did_you_mean
from tritonrl_core.spans import parse_completion
from tritonrl_core.types import Candidate, Task

TASK_KEYS = ("task", "task_id", "id")
TEXT_KEYS = ("completion", "response", "text")
CODE_KEY = "code"
FORM = 'Each line is {"task": id, "completion": text with a fenced block} or {"task": id, "code": source}.'

_KERNELBENCH = re.compile(r"level_(\d+)_problem_(\d+)_sample_(\d+)_kernel\.py")
_NUMBERED = re.compile(r"(\d+)_")


@dataclass(frozen=True, slots=True)
class Completions:
    """Candidates by task, in the order they were found.

    `strangers` are tasks named there that the suite has not, `silent` the suite's tasks that have no completion: both
    are left out of every figure.
    """

    jobs: Sequence[tuple[Task, Candidate]]
    strangers: Sequence[str] = ()
    silent: Sequence[str] = ()


def are_completions(model: str) -> bool:
    """Whether this "model" is a file or folder of completions and not one to load."""
    place = Path(model)
    if place.is_dir():
        return not (place / "config.json").exists() and next(_files(place), None) is not None
    return place.suffix == ".jsonl"


def read_completions(model: str, tasks: Sequence[Task]) -> Completions:
    """Completions of these tasks. Raises `UsageError` naming file, line and remedy for what cannot be read."""
    place = Path(model)
    if not place.exists():
        raise UsageError(f"completions {place}: no such file", remedy=FORM)
    by_id = {task.id: task for task in tasks}
    by_number = {(task.level, int(found[1])): task for task in tasks if (found := _number(task.id))}
    jobs: list[tuple[Task, Candidate]] = []
    strangers: dict[str, None] = {}
    for name, number, candidate in _rows(place):
        task = by_id.get(name) or (by_number.get(number) if number else None)
        if task is None:
            strangers[name] = None
        else:
            jobs.append((task, candidate))
    if not jobs:
        first = next(iter(strangers), "")
        raise UsageError(
            f"completions {place}: none is of a task of this suite",
            remedy=f"{first!r}: {did_you_mean(first, by_id)}" if first else FORM,
        )
    answered = {task.id for task, _ in jobs}
    return Completions(jobs, tuple(strangers), tuple(task.id for task in tasks if task.id not in answered))


def _number(task_id: str) -> re.Match[str] | None:
    """KernelBench's number of a problem, from a name such as `level1/3_Batched_matrix_multiplication`."""
    return _NUMBERED.match(task_id.rsplit("/", 1)[-1])


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for path in sorted(place.rglob("*")):
        if path.suffix == ".jsonl" or _KERNELBENCH.fullmatch(path.name):
            yield path


def _rows(place: Path) -> Iterator[tuple[str, tuple[int, int] | None, Candidate]]:
    """Name of the task, its KernelBench level and problem where the file's name tells them, and the candidate."""
    for path in _files(place):
        kernel = _KERNELBENCH.fullmatch(path.name)
        if kernel:
            name = f"level_{kernel[1]}_problem_{kernel[2]}"
            yield name, (int(kernel[1]), int(kernel[2])), Candidate.from_code(_text(path))
            continue
        for number, line in enumerate(_text(path).splitlines(), start=1):
            if line.strip():
                yield _from_line(line, f"{path}, line {number}")


def _from_line(line: str, where: str) -> tuple[str, None, Candidate]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON: {error.msg}", remedy=FORM) from None
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not a JSON object", remedy=FORM)
    name = next((row[key] for key in TASK_KEYS if isinstance(row.get(key), str)), None)
    if name is None:
        raise UsageError(f"{where}: names no task", remedy=FORM)
    if isinstance(row.get(CODE_KEY), str):
        return name, None, Candidate.from_code(row[CODE_KEY])
    text = next((row[key] for key in TEXT_KEYS if isinstance(row.get(key), str)), None)
    if text is None:
        raise UsageError(f"{where}: has neither `completion` nor `code`", remedy=FORM)
    return name, None, parse_completion(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})", remedy="Save the file as UTF-8.") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", remedy="Check its permissions.") from None
