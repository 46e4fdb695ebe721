"""What each launch of a kernel touched: bytes, distinct 32-byte sectors, matrix products; and who may touch what.

Fed by the patched interpreter (`bench.interpreter_triton`), one launch at a time, in the child. A load or store outside
the tensors that were passed to a launch (or are alive, where a kernel makes pointers from integers) is out of bounds.
Nothing is estimated here.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

SECTOR_BITS = 5
"""DRAM and L2 move sectors of 32 bytes."""

Array = np.ndarray[Any, Any]


class OutOfBoundsError(Exception):
    """A store to memory that the kernel was not given."""


@dataclass
class Buffer:
    """One storage: the half-open range of its addresses, and which of its sectors were read and written."""

    low: int
    high: int
    read: Array | None = None
    written: Array | None = None

    def touch(self, addresses: Array, write: bool) -> None:
        sectors = ((self.high - self.low - 1) >> SECTOR_BITS) + 1
        if write and self.written is None:
            self.written = np.zeros(sectors, dtype=bool)
        if not write and self.read is None:
            self.read = np.zeros(sectors, dtype=bool)
        seen = self.written if write else self.read
        assert seen is not None
        seen[((addresses - np.uint64(self.low)) >> np.uint64(SECTOR_BITS)).astype(np.intp)] = True


@dataclass
class Launch:
    """One launch of a kernel and what it did. Bytes count the lanes that were not masked off."""

    kernel: str
    grid: tuple[int, ...] = ()
    warps: int = 4
    bytes_read: int = 0
    bytes_written: int = 0
    flops: dict[str, float] = field(default_factory=dict)
    stray_reads: int = 0
    buffers: list[Buffer] = field(default_factory=list, repr=False)
    complete: bool = False

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        unique = {"read": 0, "written": 0}
        for buffer in self.buffers:
            for name in unique:
                seen = getattr(buffer, name)
                unique[name] += 0 if seen is None else int(np.count_nonzero(seen)) << SECTOR_BITS
        return {
            "kernel": self.kernel, "grid": list(self.grid), "warps": self.warps,
            "bytes_read": self.bytes_read, "bytes_written": self.bytes_written,
            "unique_read": unique["read"], "unique_written": unique["written"],
            "flops": self.flops, "stray_reads": self.stray_reads,
        }


class Meter:
    """The launches of one run. `current` is the launch that is being interpreted."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.current: Launch | None = None

    @contextmanager
    def launch(self, kernel: str, tensors: Iterable[Any], warps: int) -> Iterator[None]:
        """Everything inside belongs to a new launch."""
        self.current = Launch(kernel, warps=warps, buffers=_buffers(tensors))
        self.launches.append(self.current)
        try:
            yield
            self.current.complete = True
        finally:
            self.current = None

    def grid(self, *dims: int) -> None:
        if self.current is not None:
            self.current.grid = dims

    def dot(self, kind: str, flops: float) -> None:
        if self.current is not None:
            self.current.flops[kind] = self.current.flops.get(kind, 0.0) + flops

    def access(self, addresses: Array, mask: Array, itemsize: int, *, write: bool, read: bool = False) -> Array | None:
        """Note an access of `itemsize` bytes at each unmasked address; `read` beside `write` for atomics.

        Gives the lanes that lie outside (None for none); for a store, raises `OutOfBoundsError` instead.
        """
        launch = self.current
        if launch is None:
            return None
        active = addresses.ravel() if mask.all() else addresses[np.broadcast_to(mask, addresses.shape)]
        if not active.size:
            return None
        ways = (True, False) if write and read else (write,)
        low, high = int(active.min()), int(active.max()) + itemsize
        buffer = _holder(launch, low, high)
        if buffer is not None:
            self._count(launch, buffer, active, itemsize, ways)
            return None
        outside = self._scattered(launch, active, itemsize, ways)
        if not outside.any():
            return None
        if write:
            raise OutOfBoundsError(_outside_text(launch, int(active[outside][0]), int(outside.sum()), "stored"))
        launch.stray_reads += int(outside.sum())
        lanes = np.zeros(addresses.shape, dtype=bool)
        lanes[np.broadcast_to(mask, addresses.shape)] = outside
        return lanes

    def _scattered(self, launch: Launch, active: Array, itemsize: int, ways: tuple[bool, ...]) -> Array:
        """Lanes of one access in several buffers, or outside them all; True where outside."""
        outside = np.ones(active.shape, dtype=bool)
        for attempt in ("passed", "alive"):
            if attempt == "alive":
                launch.buffers += _buffers(_alive(), known=launch.buffers)
            for buffer in launch.buffers:
                inside = outside & (active >= np.uint64(buffer.low)) & (active <= np.uint64(buffer.high - itemsize))
                if inside.any():
                    self._count(launch, buffer, active[inside], itemsize, ways)
                    outside &= ~inside
            if not outside.any():
                break
        return outside

    def _count(self, launch: Launch, buffer: Buffer, active: Array, itemsize: int, ways: tuple[bool, ...]) -> None:
        for write in ways:
            buffer.touch(active, write)
            if write:
                launch.bytes_written += active.size * itemsize
            else:
                launch.bytes_read += active.size * itemsize


def _holder(launch: Launch, low: int, high: int) -> Buffer | None:
    for buffer in launch.buffers:
        if buffer.low <= low and high <= buffer.high:
            return buffer
    return None


def _buffers(tensors: Iterable[Any], known: Iterable[Buffer] = ()) -> list[Buffer]:
    """The distinct storages behind what may be tensors, tuples of them, or objects with a `base`."""
    seen = {buffer.low for buffer in known}
    found = []
    for tensor in _flatten(tensors):
        storage = tensor.untyped_storage()
        low, size = storage.data_ptr(), storage.nbytes()
        if size and low not in seen:
            seen.add(low)
            found.append(Buffer(low, low + size))
    return found


def _flatten(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _flatten(value)
        elif hasattr(value, "base"):  # Triton's tensor descriptors and re-typed tensors
            yield from _flatten([value.base])


def _alive() -> list[torch.Tensor]:
    return [value for value in gc.get_objects() if type(value) in (torch.Tensor, torch.nn.Parameter)]


def _outside_text(launch: Launch, address: int, lanes: int, did: str) -> str:
    def distance(buffer: Buffer) -> int:
        return address - buffer.high if address >= buffer.high else buffer.low - address

    where = ""
    if launch.buffers:
        nearest = min(launch.buffers, key=distance)
        side = "after the end" if address >= nearest.high else "before the start"
        where = f", {max(distance(nearest), 0)} bytes {side} of a buffer of {nearest.high - nearest.low} bytes"
    count = f"{lanes} lane{'s' * (lanes > 1)}"
    return f"kernel {launch.kernel} {did} outside its tensors in {count}{where}; is a mask missing?"
