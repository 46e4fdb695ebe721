"""Turns what pydantic found wrong into messages for people: where, what, and the nearest name.

Used for the schema of presets and for the options of plugins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from tritonrl_core.errors import did_you_mean

Path = tuple[str | int, ...]

Origins = Mapping[Path, str]
"""Where each key was said last: a path of keys to `file:line` or `--set a.b=c`."""


def nearest_origin(origins: Origins, path: Path) -> str:
    """The place of a path, else of something inside it, else of what encloses it; "" where none is known."""
    if path in origins:
        return origins[path]
    inside = [place for known, place in origins.items() if known[: len(path)] == path]
    if inside:
        return inside[0]
    return next((origins[path[:end]] for end in range(len(path) - 1, 0, -1) if path[:end] in origins), "")


def describe_errors(
    error: ValidationError, model: type[BaseModel], origins: Origins, label: str, prefix: Path = ()
) -> tuple[str, str]:
    """A message (one line a key) and a remedy for all that is wrong.

    `prefix` is where the model sits in the preset; `label` names the whole where `origins` knows no better place.
    """
    faults: dict[Path, list[str]] = {}
    values: dict[Path, str] = {}
    remedies: dict[str, None] = {}
    for found in error.errors(include_url=False):
        inside = _without_branches(found["loc"], model)
        path = (*prefix, *inside)
        # A value that may be of several types gives one error for each of them, all at the same place.
        faults.setdefault(path, []).append(_what(found))
        values[path] = _shown(found)
        remedies[_remedy(found, model, inside, path)] = None
    lines = []
    for path, whats in faults.items():
        what = ", or ".join(dict.fromkeys(whats))
        key = ".".join(map(str, path))
        lines.append(f"{nearest_origin(origins, path) or label}: {f'{key} ' if key else ''}{values[path]}{what}")
    return "\n".join(lines), " ".join(filter(None, remedies))


def _what(found: Any) -> str:
    match found["type"]:
        case "extra_forbidden":
            return "is not a known key"
        case "missing":
            return "is required"
        case "literal_error":
            return f"must be {found['ctx']['expected']}"
        case "value_error":
            return str(found["ctx"]["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping, such as {key: value}"
        case _:
            message: str = found["msg"]
            return re.sub(r"^(Input|String|Value) should", "must", message)


def _shown(found: Any) -> str:
    value = found.get("input")
    if found["type"] in ("extra_forbidden", "missing") or not isinstance(value, str | int | float | None):
        return ""
    return f"is {value!r}: "


def _remedy(found: Any, model: type[BaseModel], inside: Path, path: Path) -> str:
    if found["type"] == "missing":
        return f"Give {'.'.join(map(str, path))} a value."
    if found["type"] != "extra_forbidden":
        return ""
    owner = _model_at(model, inside[:-1])
    known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
    return did_you_mean(inside[-1], known) if known else "It takes no keys."


def _field(model: type[BaseModel], name: str | int) -> Any:
    return next((field for known, field in model.model_fields.items() if name in (known, field.alias)), None)


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model class that a path of keys leads to; None where it leads to something else."""
    here = model
    for key in path:
        field = _field(here, key)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        here = field.annotation
    return here


def _without_branches(location: Path, model: type[BaseModel]) -> Path:
    """Pydantic's path up to a field of ours or a key of a mapping: no branches of unions, no places in lists."""
    here: type[BaseModel] | None = model
    for end, key in enumerate(location, start=1):
        assert here is not None
        field = _field(here, key)
        here = _model_at(here, (key,))
        if here is None:
            is_mapping = field is not None and get_origin(field.annotation) is dict
            return location[: end + 1] if is_mapping else location[:end]
    return location
