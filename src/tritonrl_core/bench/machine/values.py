"""How TTIR's element types are kept in NumPy arrays, and conversions between them.

An array has one axis for programs and one for each axis of the tensor; any of them may have length 1 where all its
entries are equal. Floats that NumPy lacks (bfloat16 and the 8-bit ones) are float32 arrays that hold only their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]

INTEGERS: Mapping[str, int] = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "index": 64}
"""Bits of integer types."""

EIGHT_BIT = {
    "f8E4M3FN": torch.float8_e4m3fn,
    "f8E5M2": torch.float8_e5m2,
    "f8E4M3FNUZ": torch.float8_e4m3fnuz,
    "f8E5M2FNUZ": torch.float8_e5m2fnuz,
}
NARROW = frozenset(["bf16", *EIGHT_BIT])
"""Floats that are kept as float32."""

_KEPT = {
    "f64": np.float64, "f32": np.float32, "f16": np.float16, "i1": np.bool_, "i8": np.int8, "i16": np.int16,
    "i32": np.int32, "i64": np.int64, "index": np.int64, "ptr": np.int64, **dict.fromkeys(NARROW, np.float32),
}  # fmt: skip
_STORED = {
    "i1": np.uint8, "index": np.int64, "bf16": np.uint16, **dict.fromkeys(EIGHT_BIT, np.uint8),
}  # fmt: skip


class UnknownElementError(Exception):
    """An element type that the machine does not have."""


def dtype_of(element: str) -> Any:
    """The NumPy type in which values of an element type are kept."""
    try:
        return _KEPT[element]
    except KeyError:
        raise UnknownElementError(f"values of type {element}") from None


def stored_as(element: str) -> Any:
    """The NumPy type of an element in memory."""
    if element.startswith("!tt.ptr"):
        return np.int64
    return _STORED.get(element) or dtype_of(element)


def size_of(element: str) -> int:
    """Bytes of an element in memory."""
    return int(np.dtype(stored_as(element)).itemsize)


def decode(raw: Array, element: str) -> Array:
    """What memory holds, as values."""
    if element == "i1":
        return np.not_equal(raw, 0)
    if element == "bf16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    if element in EIGHT_BIT:
        return _table(element)[raw]
    return raw


def encode(value: Array, element: str) -> Array:
    """Values as memory holds them."""
    if element == "bf16":
        return (np.ascontiguousarray(value).view(np.uint32) >> 16).astype(np.uint16)
    if element in EIGHT_BIT:
        return _eight_bits(value, element)
    return value.astype(stored_as(element), copy=False)


def rounded(value: Array, element: str) -> Array:
    """float32 values rounded to those that a narrow float has; nearest even, 8-bit floats saturate as on a GPU."""
    if element == "bf16":
        bits = np.ascontiguousarray(value, dtype=np.float32).view(np.uint32)
        up = bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)
        whole = np.where((bits & 0x7FFFFFFF) > 0x7F800000, bits | 0x400000, up) & np.uint32(0xFFFF0000)
        return whole.view(np.float32)
    return _table(element)[_eight_bits(value, element)]


def tf32(value: Array) -> Array:
    """float32 values with the ten bits of mantissa that TF32 keeps, rounded to nearest."""
    bits = np.ascontiguousarray(value, dtype=np.float32).view(np.uint32)
    up = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    return np.where((bits & 0x7F800000) == 0x7F800000, bits, up).astype(np.uint32).view(np.float32)


def poison(element: str) -> Any:
    """What a read outside all buffers gives: NaN, or the largest integer."""
    kept = np.dtype(dtype_of(element))
    return np.nan if kept.kind == "f" else True if kept.kind == "b" else np.iinfo(kept).max


def _eight_bits(value: Array, element: str) -> Array:
    dtype = EIGHT_BIT[element]
    limit = torch.finfo(dtype).max
    wide = torch.from_numpy(np.array(value, dtype=np.float32))
    return wide.clamp(-limit, limit).to(dtype).view(torch.uint8).numpy()


@lru_cache(maxsize=8)
def _table(element: str) -> Array:
    return torch.arange(256, dtype=torch.int32).to(torch.uint8).view(EIGHT_BIT[element]).float().numpy()


def to_integer(value: Array, element: str, *, signed: bool = True) -> Array:
    """Floats as integers: towards zero, saturating, NaN as zero, as the device converts."""
    kept = np.dtype(dtype_of(element))
    if kept.kind == "b":
        return np.not_equal(value, 0)
    info = np.iinfo(kept if signed else np.dtype(f"u{kept.itemsize}"))
    wide = np.nan_to_num(np.trunc(value.astype(np.float64)), nan=0.0, posinf=np.inf, neginf=-np.inf)
    low, high = wide <= info.min, wide >= float(info.max)
    safe = np.where(low | high, 0, wide).astype(np.int64 if signed else np.uint64)
    whole = np.where(low, info.min, np.where(high, info.max, safe))
    return whole.astype(info.dtype).view(kept)


UNSIGNED: Mapping[Any, Any] = {
    np.dtype(np.int8): np.uint8, np.dtype(np.int16): np.uint16, np.dtype(np.int32): np.uint32,
    np.dtype(np.int64): np.uint64,
}  # fmt: skip


def unsigned(value: Array) -> Array:
    """The same bits without a sign."""
    kind = UNSIGNED.get(value.dtype)
    return value if kind is None else value.view(kind)


def on_unsigned(function: Callable[..., Array]) -> Callable[..., Array]:
    """A function of unsigned integers, for arrays that are kept signed."""

    def called(*values: Array) -> Array:
        return function(*map(unsigned, values)).view(values[0].dtype)

    return called
