"""A task from one line of a JSONL file: its fields are those of `Task`, checked and converted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.declared import MODES
from tritonrl_core.types import Policy, Task

FORM = "Each line is one JSON object with `id` and `source`."


def task_fields(line: str, where: str) -> dict[str, Any]:
    """Fields of `Task` by name, `source` among them. Raises `TaskError` that says where, for what is no such line."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise TaskError(f"{where}: not JSON: {error.msg}", remedy=FORM) from None
    if not isinstance(row, dict) or not isinstance(row.get("source"), str):
        raise TaskError(f"{where}: no `source`", remedy=FORM)
    known = {field.name for field in fields(Task)}
    for key in row:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"The fields are {', '.join(sorted(known))}."
            raise TaskError(f"{where}: unknown field {key!r}", remedy=remedy)
    return {key: _converted(key, value, where) for key, value in row.items()}


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
    "id": str,
    "level": int,
    "mode": lambda value: MODES[MODES.index(value)],
    "vary": lambda value: {name: tuple(choices) for name, choices in value.items()},
    "dtypes": tuple,
    "mutated_buffers": tuple,
    "policy": lambda value: Policy(**{**value, "forbidden_builtins": tuple(value.get("forbidden_builtins", ()))}),
}
