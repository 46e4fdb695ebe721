"""What stands in an operation's text beside its operands: constants, and integers such as an axis."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Any

import numpy as np

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.frame import NotCarriedOutError
from tritonrl_core.bench.machine.values import Array
from tritonrl_core.bench.plan.ttir_text import Type


@lru_cache(maxsize=4096)
def constant(text: str, kind: Type) -> Array:
    """The value of `arith.constant`, one entry where all are equal."""
    body = text.removeprefix("arith.constant").strip()
    body = body[6:].rpartition("> :")[0] if body.startswith("dense<") else body.partition(" :")[0]
    if body.startswith('"'):
        raise NotCarriedOutError("a constant written as bytes")
    if body.startswith("["):
        numbers = [_number(part, kind.element) for part in body.replace("[", " ").replace("]", " ").split(",")]
        whole = np.array(numbers, dtype=values.dtype_of(kind.element)).reshape((1, *kind.shape))
    else:
        number = _number(body, kind.element)
        whole = np.full((1,) * (1 + len(kind.shape)), number, dtype=values.dtype_of(kind.element))
    whole.flags.writeable = False
    return whole


def _number(text: str, element: str) -> Any:
    text = text.strip().partition(" ")[0]
    if text in ("true", "false"):
        return text == "true"
    if element in values.INTEGERS or element == "ptr":
        number = int(text, 0)
        bits = values.INTEGERS.get(element, 64)
        return number - (1 << bits) if number >= 1 << (bits - 1) and bits > 1 else number
    if not text.startswith("0x"):
        return float(text)
    bits = int(text, 16)
    if element in ("f64", "f32", "f16"):
        code, whole = {"f64": ("<d", "<Q"), "f32": ("<f", "<I"), "f16": ("<e", "<H")}[element]
        return struct.unpack(code, struct.pack(whole, bits))[0]
    raw = np.array([bits], dtype=values.stored_as(element))
    return values.decode(raw, element)[0]


_INTEGER_ATTRIBUTE = re.compile(r"(\w+) = (-?\d+)")


@lru_cache(maxsize=4096)
def integer(text: str, name: str) -> int:
    """An integer attribute such as `axis = 1 : i32`. Raises `NotCarriedOutError` where there is none."""
    for found, number in _INTEGER_ATTRIBUTE.findall(text):
        if found == name:
            return int(number)
    raise NotCarriedOutError(f"`{text[:60]}` without {name}")
