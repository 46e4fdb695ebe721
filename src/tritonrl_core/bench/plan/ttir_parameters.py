"""A kernel's launch parameters as its TTIR has them: how many arguments each becomes there, and of which types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tritonrl_core.bench.plan.ttir_text import Type, UnknownTextError, read

_DESCRIPTOR_RANK = re.compile(r"\[([0-9, ]+)\]")
_SCALARS: Mapping[str, str] = {"fp16": "f16", "bf16": "bf16", "fp32": "f32", "fp64": "f64", "f32": "f32", "f64": "f64"}
_ELEMENTS = {"ptr": "ptr", "desc": "tensordesc"}
"""What a pointer and a descriptor are called in reasons."""


def takes(ttir: str, entry: str, types: Sequence[str]) -> str:
    """How the text's kernel differs from launch parameters of these Triton types, in words; "" where it fits, or where
    the text cannot be read, which `flow.beyond_following` says.

    The driver is told addresses of arguments and no sizes: it reads as many, and as much of each, as the binary wants.
    """
    try:
        function = read(ttir).get(entry)
    except UnknownTextError:
        return ""
    found = function.argument_types if function is not None else []
    wanted = [form for kind in types for form in _forms(kind)]
    if function is None or len(found) != len(wanted):
        return f"takes {len(found)} arguments, {len(wanted)} are passed"
    for number, (kind, form) in enumerate(zip(found, wanted, strict=True)):
        if kind.element != form or (kind.shape and form != "desc"):
            return f"takes {_shown(kind)} as argument {number}, {_ELEMENTS.get(form, form)} is passed"
    return ""


def _shown(kind: Type) -> str:
    element = _ELEMENTS.get(kind.element, kind.element)[:40]
    return f"a tensor of {element}" if kind.shape and kind.element != "desc" else element


def _forms(kind: str) -> list[str]:
    """The elements of the types that a launch parameter of this Triton type has in TTIR."""
    if kind.startswith("*"):
        return ["ptr"]
    if kind.startswith("tensordesc"):
        rank = (width(kind) - 1) // 2
        return ["desc", *["i32"] * rank, *["i64"] * rank]
    return [_SCALARS.get(kind, f"i{kind[1:]}")]


def width(kind: str) -> int:
    """How many TTIR arguments a launch parameter becomes: a descriptor brings its sizes and strides along."""
    rank = _DESCRIPTOR_RANK.search(kind) if kind.startswith("tensordesc") else None
    return 1 if rank is None else 1 + 2 * len(rank[1].split(","))
