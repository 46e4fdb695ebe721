"""A run's best kernel as Python files that need torch and triton alone: the kernel, the reference, and a test of both.

    softmax_rows.py            the candidate's own text; above it where it comes from, below it the same as data
    softmax_rows_reference.py  the task's reference, as it was judged by
    test_softmax_rows.py       compares them on fresh inputs; for pytest, or run by itself

Judges nothing: the caller says whether the kernel was verified again.
"""

from __future__ import annotations

import pprint
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from tritonrl_core import __version__
from tritonrl_core.errors import UsageError, did_you_mean
from tritonrl_core.report.summary import best_by_task
from tritonrl_core.types import Score, Task


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written."""

    kernel: Path
    reference: Path
    test: Path


def best_score(scores: Sequence[Score], task_id: str) -> Score:
    """The best verified kernel of a task. Raises `UsageError` where the run has none."""
    best = best_by_task(scores)
    if task_id in best:
        return scores[best[task_id]]
    tried = sum(score.task_id == task_id for score in scores)
    if tried:
        raise UsageError(f"none of the {tried} kernels for task {task_id!r} passed", remedy="Export a solved task.")
    raise UsageError(f"there is no task {task_id!r} in this run", remedy=did_you_mean(task_id, best))


def export_kernel(score: Score, task: Task, folder: Path, about: Mapping[str, Any]) -> Exported:
    """Write kernel, reference and test. `about` is the run's part of the provenance (plain data).

    Raises `UsageError` where a file of that name is there already and is not what would be written.
    """
    stem = re.sub(r"\W+", "_", task.id).strip("_").lower()
    stem = stem if stem[:1].isalpha() else f"task_{stem}"
    texts = {
        f"{stem}.py": kernel_text(score, provenance(score, about)),
        f"{stem}_reference.py": f"# The reference of task {_line(task.id)}, as tritonrl judged by it.\n{task.source}",
        f"test_{stem}.py": text_of_test(stem, task),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        place = folder / name
        if place.exists() and place.read_text(encoding="utf-8") != text:
            raise UsageError(f"{place} is there already", remedy="Name another folder with --out, or move it away.")
        place.write_text(text, encoding="utf-8")
    return Exported(*(folder / name for name in texts))


def provenance(score: Score, about: Mapping[str, Any]) -> dict[str, Any]:
    """Where a kernel comes from and what is known of it, as plain data."""
    verdict, timing = score.verdict, score.timing
    return {
        "task": score.task_id,
        "task_key": score.task_key,
        "candidate_key": score.candidate.key,
        "step": score.step,
        **about,
        "verdict": {
            "status": verdict.status.value,
            "cases_passed": verdict.cases_passed,
            "worst_error": verdict.worst_error,
            "judged_by": verdict.source,
            "sandbox": verdict.sandbox,
            "unchecked": list(verdict.unchecked),
        },
        "speed": None
        if timing is None
        else {
            "speedup": round(timing.speedup, 4),
            "low": round(timing.speedup_low, 4),
            "high": round(timing.speedup_high, 4),
            "against": next(iter(timing.baseline_us), ""),
            "kind": "estimated, not measured" if timing.estimated else "measured",
            "device": timing.device,
        },
        "exported": {"by": f"tritonrl-core {__version__}", "on": time.strftime("%Y-%m-%d")},
    }


def kernel_text(score: Score, origin: Mapping[str, Any]) -> str:
    """The module: comments, so that the code's own `from __future__` stays first; then the code; then the data."""
    speed = origin["speed"]
    said = [f"A Triton kernel for task {score.task_id}, written by a model and verified by tritonrl."]
    if speed:
        said.append(f"Speedup {speed['speedup']}x ({speed['low']} to {speed['high']}), {speed['kind']}.")
        said.append(f"Device: {speed['device']}.")
    said += [f"Plan: {line}" for line in score.candidate.plan.strip().splitlines()]
    head = "".join(f"# {_line(line)}\n" for line in said)
    data = pprint.pformat(_literal(origin), width=110, sort_dicts=False)
    return f"{head}\n{score.candidate.code.strip()}\n\n\nPROVENANCE = {data}\n"


def text_of_test(stem: str, task: Task) -> str:
    """The test, with the names put in."""
    text = (files("tritonrl_core.report") / "assets" / "exported_test.py.txt").read_text(encoding="utf-8")
    return text.replace("@STEM@", stem).replace("@TASK@", _line(task.id)).replace("@MODE@", task.mode)


def _line(text: str) -> str:
    """One line of a comment: nothing in it can end the comment."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _literal(value: Any) -> Any:
    """Plain data whose `repr` is Python: nan and the infinities, which are not, become text."""
    match value:
        case Mapping():
            return {str(key): _literal(item) for key, item in value.items()}
        case list() | tuple():
            return [_literal(item) for item in value]
        case float():
            return value if isfinite(value) else str(value)
        case None | bool() | int() | str():
            return value
    return str(value)
