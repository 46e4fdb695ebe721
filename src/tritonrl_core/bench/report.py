"""Reading what a child says: a small record in JSON out of an untrusted process, checked before anything is believed.

Everything in it is a claim. Texts are cut and made printable, numbers must be in range, and whatever else is wrong
makes the whole record unreadable, which is the candidate's doing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tritonrl_core.types import Stage, Status

TEXT = 1000
OUTPUTS = 64
DIMS = 16
MOST_INT = 1 << 62

CLAIMS = {Status.RUNTIME_ERROR, Status.BUILD_ERROR, Status.REJECTED, Status.UNSUPPORTED}
"""What a child may say of itself. That it passed is not among them."""


class UnreadableError(Exception):
    """The record is not one that our own child would have sent."""


@dataclass(frozen=True, slots=True)
class Record:
    """A child's claims: how it ended (`status` None where it has outputs), its outputs' shapes, its launches."""

    status: Status | None
    stage: Stage
    reason: str
    outputs: tuple[tuple[tuple[int, ...], str], ...] = ()
    unused: tuple[str, ...] = ()
    """Parameters of the reference that found no place in the candidate."""
    launches: tuple[Mapping[str, Any], ...] = ()
    launch_count: int = 0
    libdevice: tuple[str, ...] = ()
    aten: Mapping[str, int] = field(default_factory=dict)
    """ATen operators that forward called, with a line each."""


def read(payload: bytes) -> Record:
    """Check and take over a record. Raises `UnreadableError`."""
    try:
        data = json.loads(payload)
        return _record(data)
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        what = f"the candidate's process sent something that is no record ({type(error).__name__})"
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
    outputs = data.get("outputs", [])
    if len(outputs) > OUTPUTS:
        raise ValueError("too many outputs")
    return Record(
        status=status,
        stage=Stage(data.get("stage", Stage.FULL)),
        reason=clean(data.get("reason", "")),
        outputs=tuple((_shape(shape), clean(dtype, 40)) for shape, dtype in outputs),
        unused=tuple(clean(name, 200) for name in data.get("unused", [])[:1024]),
        launches=tuple(_launch(launch) for launch in data["launches"][:1024]),
        launch_count=_whole(data["launch_count"]),
        libdevice=tuple(clean(name, 60) for name in data["libdevice"][:64]),
        aten={clean(name, 100): _whole(line) for name, line in list(data["aten"].items())[:64]},
    )


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > DIMS:
        raise ValueError("not a shape")
    return tuple(_whole(size) for size in shape)


def _launch(launch: Any) -> dict[str, Any]:
    counts = ("bytes_read", "bytes_written", "unique_read", "unique_written", "stray_reads", "warps")
    flops = {clean(kind, 20): _positive(value) for kind, value in list(launch["flops"].items())[:16]}
    return {
        "kernel": clean(launch["kernel"], 200),
        "grid": list(_shape(launch["grid"])),
        "flops": flops,
        **{name: _whole(launch[name]) for name in counts},
    }


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_INT:
        raise ValueError("not a number of things")
    return value


def _positive(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("not an amount")
    return float(value)
