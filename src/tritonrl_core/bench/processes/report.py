"""Reading what a child says: a small record in JSON out of a confined process, checked before anything is believed.

Texts are cut and made printable, numbers must be in range, and whatever else is wrong makes the record unreadable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritonrl_core.types import Status

TEXT = 1000
MOST_INT = 1 << 62

CLAIMS = {Status.RUNTIME_ERROR, Status.UNSUPPORTED}
"""What a child may say of a plan. That it passed is not among them."""


class UnreadableError(Exception):
    """The record is not one that our own child would have sent."""


@dataclass(frozen=True, slots=True)
class Record:
    """How a plan's replay ended (`status` None where every step was carried out), and what each launch moved."""

    status: Status | None
    reason: str
    launches: tuple[Mapping[str, Any], ...] = ()
    libdevice: tuple[str, ...] = ()


def read(payload: bytes) -> Record:
    """Check and take over a record. Raises `UnreadableError`."""
    try:
        return _record(json.loads(payload))
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        what = f"the process that carried out the plan sent something that is no record ({type(error).__name__})"
        raise UnreadableError(what) from error


def clean(text: Any, most: int = TEXT) -> str:
    """A stranger's text on one line: printable characters only, and not too many."""
    if not isinstance(text, str):
        raise TypeError("not a text")
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * most])
    return line if len(line) <= most else line[: most - 1] + "…"


def _record(data: Any) -> Record:
    status = Status(data["status"]) if "status" in data else None
    if status is not None and status not in CLAIMS:
        raise ValueError(f"{status} is not for a child to say")
    return Record(
        status=status,
        reason=clean(data.get("reason", "")),
        launches=tuple(_launch(launch) for launch in data["launches"]),
        libdevice=tuple(clean(name, 60) for name in data["libdevice"][:64]),
    )


def _launch(launch: Any) -> dict[str, Any]:
    counts = ("kernel", "line", "bytes_read", "bytes_written", "unique_read", "unique_written", "stray_reads",
              "sectors", "rounds", "fresh", "elements", "tile_work")  # fmt: skip
    if not isinstance(launch["grid"], list) or len(launch["grid"]) != 3:
        raise ValueError("not a grid")
    flops = {clean(kind, 20): _positive(value) for kind, value in list(launch["flops"].items())[:16]}
    numbers = {name: _whole(launch[name]) for name in counts}
    return {"grid": [_whole(size) for size in launch["grid"]], "flops": flops, **numbers}


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_INT:
        raise ValueError("not a number of things")
    return value


def _positive(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("not an amount")
    return float(value)
