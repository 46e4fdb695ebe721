"""The machine's memory: buffers at addresses, loads, stores and atomics on them, and a count of what they moved.

Nothing is reached but the buffers of a launch's own arguments. A read outside gives poison; a store outside and an
access that is not aligned end the launch, as they may on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from tritonrl_core.bench.machine import values
from tritonrl_core.bench.machine.values import Array

SECTOR_BITS = 5
"""DRAM and L2 move sectors of 32 bytes."""

SAMPLE = 2048
"""Lanes in which the sectors of one access are counted, whole programs at least; the rest is taken to be like them."""


class OutOfBoundsError(Exception):
    """A store to memory that the kernel was not given, or an access that is not aligned."""


@dataclass
class Segment:
    """A buffer: its first address and its bytes."""

    low: int
    data: Array
    _views: dict[Any, Array] = field(default_factory=dict)
    moved: Array | None = None
    """Sectors that launches have moved already, where this segment is kept from launch to launch."""

    @property
    def high(self) -> int:
        return self.low + self.data.nbytes

    def view(self, dtype: Any) -> Array:
        """The buffer as an array of this type; bytes at its end that make no element are left out."""
        known = self._views.get(dtype)
        if known is None:
            size = np.dtype(dtype).itemsize
            known = self._views[dtype] = self.data[: self.data.nbytes // size * size].view(dtype)
        return known


@dataclass
class Traffic:
    """What one launch moved, in bytes. Lanes that are masked off are not counted; distinct sectors are counted once.

    For the estimate of its time, over all programs: `sectors` that accesses moved, each access by itself; `rounds` of
    waiting for memory (the loads of one turn of a block wait together); `fresh` bytes that no launch before this one
    had moved; `elements`, single lanes of ordinary operations; `tile_work`, operations of products times the
    elements of each one's result.
    """

    read: int = 0
    written: int = 0
    stray_reads: int = 0
    flops: dict[str, float] = field(default_factory=dict)
    sectors_read: dict[int, Array] = field(default_factory=dict)
    sectors_written: dict[int, Array] = field(default_factory=dict)
    sectors: float = 0.0
    rounds: int = 0
    fresh: int = 0
    elements: int = 0
    tile_work: float = 0.0

    def touch(self, number: int, segment: Segment, places: Array, size: int, write: bool) -> None:
        """Note that elements of `size` bytes at these places of a segment were moved."""
        seen = self.sectors_written if write else self.sectors_read
        if number not in seen:
            seen[number] = np.zeros((segment.data.nbytes >> SECTOR_BITS) + 1, dtype=bool)
        shift = SECTOR_BITS - (size.bit_length() - 1)
        seen[number][places >> shift] = True

    def access(self, address: Array, mask: Array | None, programs: int) -> None:
        """Note one access by so many programs: neighbouring lanes, along the better axis, share a sector."""
        shape = address.shape if mask is None else np.broadcast_shapes(address.shape, mask.shape)
        few = max(1, min(shape[0], SAMPLE // max(1, math.prod(shape[1:]))))
        sector = np.broadcast_to(address[:few], (few, *shape[1:])) >> SECTOR_BITS
        active = None if mask is None else np.broadcast_to(mask[:few], sector.shape)
        runs = _runs(sector, active)
        if sector.ndim > 2 and runs > few and min(sector.shape[-2:]) > 1:
            runs = min(runs, _runs(sector.swapaxes(-1, -2), None if active is None else active.swapaxes(-1, -2)))
        self.sectors += runs * programs / few

    def settle(self, segments: Sequence[Segment]) -> None:
        """At the end of the launch: which of the sectors were moved for the first time."""
        for seen in (self.sectors_read, self.sectors_written):
            for number, sectors in seen.items():
                known = segments[number].moved
                new = sectors if known is None else sectors & ~known
                self.fresh += int(np.count_nonzero(new)) << SECTOR_BITS
                segments[number].moved = sectors.copy() if known is None else known | sectors

    def unique(self, write: bool) -> int:
        seen = self.sectors_written if write else self.sectors_read
        return sum(int(np.count_nonzero(part)) << SECTOR_BITS for part in seen.values())


class Memory:
    """The buffers that one launch may reach."""

    def __init__(self, segments: Sequence[Segment], kernel: str) -> None:
        self.segments = [segment for segment in segments if segment.data.nbytes]
        self.kernel = kernel
        self.traffic = Traffic()

    def load(self, address: Array, element: str, mask: Array | None, other: Array | None, lanes: int) -> Array:
        """Values at the addresses; masked lanes give `other`, or zero. `lanes` is how many the arrays stand for."""
        raw = values.stored_as(element)
        if mask is not None and mask.all():
            mask = None
        if mask is None:
            data, outside = self._gather(address, raw, lanes // max(address.size, 1))
            found = values.decode(data, element)
            if outside is not None:
                found[outside] = values.poison(element)
            return found
        shape = np.broadcast_shapes(address.shape, mask.shape)
        active = np.broadcast_to(mask, shape)
        data, outside = self._gather(np.broadcast_to(address, shape)[active], raw, lanes // max(active.size, 1))
        found = values.decode(data, element)
        if outside is not None:
            found[outside] = values.poison(element)
        kept = values.dtype_of(element)
        if other is None:
            result = np.zeros(shape, dtype=kept)
        else:
            shape = np.broadcast_shapes(shape, other.shape)
            result = np.array(np.broadcast_to(other, shape), dtype=kept)
            if shape != active.shape:
                return np.where(active, _spread(found, active), result)
        result[active] = found
        return result

    def store(self, address: Array, value: Array, element: str, mask: Array | None, lanes: int) -> None:
        """Put values at the addresses; where two lanes write to one place the later program's stays."""
        address, value, repeat = self._active(address, value, mask, lanes)
        if not address.size:
            return
        raw = np.dtype(values.stored_as(element))
        data = values.encode(value, element)
        self.traffic.written += address.size * raw.itemsize * repeat
        for number, inside in self._parts(address, raw.itemsize, write=True):
            segment = self.segments[number]
            places = self._places(segment, address if inside is None else address[inside], raw)
            segment.view(raw)[places] = data if inside is None else data[inside]
            self.traffic.touch(number, segment, places, raw.itemsize, write=True)

    def atomic(
        self, address: Array, element: str, mask: Array, operands: Sequence[Array], change: Callable[..., Array]
    ) -> Array:
        """Read, change and write each place, lane after lane; gives what was there before. All arrays in full shape.

        `change(old, *operands)` gives the new values of distinct places.
        """
        raw, kept = np.dtype(values.stored_as(element)), values.dtype_of(element)
        where, parts = address[mask], [part[mask] for part in operands]
        before = np.zeros(where.shape, dtype=kept)
        self.traffic.read += where.size * raw.itemsize
        self.traffic.written += where.size * raw.itemsize
        for number, inside in self._parts(where, raw.itemsize, write=True) if where.size else ():
            segment = self.segments[number]
            every = np.arange(where.size) if inside is None else np.nonzero(inside)[0]
            places = self._places(segment, where[every], raw)
            self.traffic.touch(number, segment, places, raw.itemsize, write=True)
            self.traffic.touch(number, segment, places, raw.itemsize, write=False)
            view = segment.view(raw)
            for turn in _turns(places):
                old = values.decode(view[places[turn]], element)
                before[every[turn]] = old
                new = change(old, *(part[every[turn]] for part in parts))
                view[places[turn]] = values.encode(new, element)
        answer = np.zeros(address.shape, dtype=kept)
        answer[mask] = before
        return answer

    def _active(self, address: Array, value: Array, mask: Array | None, lanes: int) -> tuple[Array, Array, int]:
        """Addresses and values of the lanes that are not masked off, and how many lanes each stands for."""
        if mask is None or mask.all():
            shape = np.broadcast_shapes(address.shape, value.shape)
            flat = np.broadcast_to(address, shape).ravel()
            return flat, np.broadcast_to(value, shape).ravel(), lanes // max(flat.size, 1)
        shape = np.broadcast_shapes(address.shape, value.shape, mask.shape)
        active = np.broadcast_to(mask, shape)
        repeat = lanes // max(active.size, 1)
        return np.broadcast_to(address, shape)[active], np.broadcast_to(value, shape)[active], repeat

    def _gather(self, address: Array, raw: Any, repeat: int) -> tuple[Array, Array | None]:
        """What lies at the addresses, and the lanes that lie outside (None for none)."""
        raw = np.dtype(raw)
        if not address.size:
            return np.zeros(address.shape, dtype=raw), None
        self.traffic.read += address.size * raw.itemsize * repeat
        parts = self._parts(address, raw.itemsize, write=False)
        if len(parts) == 1 and parts[0][1] is None:
            number = parts[0][0]
            places = self._places(self.segments[number], address, raw)
            self.traffic.touch(number, self.segments[number], places, raw.itemsize, write=False)
            return self.segments[number].view(raw)[places], None
        found = np.zeros(address.shape, dtype=raw)
        outside = np.ones(address.shape, dtype=bool)
        for number, lanes in parts:
            places = self._places(self.segments[number], address[lanes], raw)
            self.traffic.touch(number, self.segments[number], places, raw.itemsize, write=False)
            found[lanes] = self.segments[number].view(raw)[places]
            outside &= ~lanes
        self.traffic.stray_reads += int(outside.sum())
        return found, outside if outside.any() else None

    def _parts(self, address: Array, size: int, write: bool) -> list[tuple[int, Any]]:
        """Which lanes lie in which segment: [(number, None)] where all lie in one. A store outside raises."""
        low, high = int(address.min()), int(address.max()) + size
        for number, segment in enumerate(self.segments):
            if segment.low <= low and high <= segment.high:
                return [(number, None)]
        parts = []
        outside = np.ones(address.shape, dtype=bool)
        for number, segment in enumerate(self.segments):
            lanes = (address >= segment.low) & (address <= segment.high - size)
            if lanes.any():
                parts.append((number, lanes))
                outside &= ~lanes
        if write and outside.any():
            raise OutOfBoundsError(self._outside(int(address[outside][0]), int(outside.sum())))
        return parts

    def _places(self, segment: Segment, address: Array, raw: Any) -> Array:
        offset: Array = address - segment.low
        if raw.itemsize == 1:
            return offset
        if (offset & (raw.itemsize - 1)).any() or segment.low & (raw.itemsize - 1):
            raise OutOfBoundsError(f"kernel {self.kernel} reads or writes at an address that is not aligned")
        places: Array = offset >> (raw.itemsize.bit_length() - 1)
        return places

    def _outside(self, address: int, lanes: int) -> str:
        def distance(segment: Segment) -> int:
            return address - segment.high if address >= segment.high else segment.low - address

        where = ""
        if self.segments:
            nearest = min(self.segments, key=distance)
            side = "after the end" if address >= nearest.high else "before the start"
            where = f", {max(distance(nearest), 0)} bytes {side} of a buffer of {nearest.data.nbytes} bytes"
        count = f"{lanes} lane{'s' * (lanes > 1)}"
        return f"kernel {self.kernel} stored outside its tensors in {count}{where}; is a mask missing?"


def _runs(sector: Array, active: Array | None) -> int:
    """How often the sector changes from one lane that is not masked off to the next."""
    lanes = sector.ravel() if active is None else sector[active]
    return int(np.count_nonzero(lanes[1:] != lanes[:-1])) + 1 if lanes.size else 0


def _spread(found: Array, active: Array) -> Array:
    whole = np.zeros(active.shape, dtype=found.dtype)
    whole[active] = found
    return whole


def _turns(places: Array) -> list[Array]:
    """Positions in rounds in which every place occurs once, in order of occurrence."""
    order = np.argsort(places, kind="stable")
    ranked = places[order]
    first = np.r_[True, ranked[1:] != ranked[:-1]]
    if first.all():
        return [np.arange(places.size)]
    starts = np.maximum.accumulate(np.where(first, np.arange(places.size), 0))
    rank = np.arange(places.size) - starts
    turn = np.empty(places.size, dtype=np.int64)
    turn[order] = rank
    by_turn = np.argsort(turn, kind="stable")
    edges = np.searchsorted(turn[by_turn], np.arange(int(turn.max()) + 2))
    return [by_turn[a:b] for a, b in pairwise(edges)]


def facts(traffic: Traffic) -> Mapping[str, Any]:
    """Traffic as plain data."""
    return {
        "bytes_read": traffic.read, "bytes_written": traffic.written, "unique_read": traffic.unique(False),
        "unique_written": traffic.unique(True), "flops": dict(traffic.flops), "stray_reads": traffic.stray_reads,
        "sectors": round(traffic.sectors), "rounds": traffic.rounds, "fresh": traffic.fresh,
        "elements": traffic.elements, "tile_work": round(traffic.tile_work),
    }  # fmt: skip
