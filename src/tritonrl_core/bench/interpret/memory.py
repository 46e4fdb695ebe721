"""A plan's buffers in shared memory: made and filled by the trusted parent, worked on by a confined child.

The parent maps memory whose size cannot change, puts poison everywhere and the case's tensors in their buffers; the
child maps the same pages. After the child is dead the parent sees what became of each buffer and of the guard zones
between them. What a child says is not looked at here.

    | progress (one page) | guard | buffer 0 | guard | buffer 1 | guard | ... |
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tritonrl_core.bench.plan.schema import LaunchPlan, TensorRef
from tritonrl_core.bench.processes.wire import SEALED
from tritonrl_core.errors import InfraError

PAGE = 4096
GUARD = PAGE
ALIGN = 512
"""What CUDA's caching allocator gives; kernels may rely on 16."""

POISONS = (0xFF, 0x47)
"""Bytes that fresh memory is filled with: all ones is NaN in every floating type, the other a finite number in each."""

Array = np.ndarray[Any, np.dtype[np.uint8]]

Layout = tuple[tuple[int, int], ...]
"""(offset, bytes) of each buffer."""


def lay_out(sizes: Sequence[int]) -> tuple[Layout, int]:
    """Where buffers of these sizes lie, and the size of the whole."""
    layout, offset = [], PAGE
    for size in sizes:
        offset = _up(offset + GUARD, ALIGN)
        layout.append((offset, size))
        offset += size
    return tuple(layout), _up(offset + GUARD, PAGE)


class Pages:
    """A plan's buffers in a mapping of shared memory."""

    def __init__(self, plan: LaunchPlan, mapping: mmap.mmap) -> None:
        self.layout, size = lay_out([buffer.nbytes for buffer in plan.buffers])
        if len(mapping) < size:
            raise InfraError("the shared memory is smaller than the plan")
        self.bytes: Array = np.frombuffer(mapping, dtype=np.uint8)
        self._whole = torch.from_numpy(self.bytes)
        self._views: dict[TensorRef, Tensor] = {}

    def raw(self, buffer: int) -> Tensor:
        """A buffer's bytes."""
        offset, size = self.layout[buffer]
        return self._whole[offset : offset + size]

    def tensor(self, ref: TensorRef) -> Tensor:
        """The tensor that a reference means."""
        known = self._views.get(ref)
        if known is None:
            dtype = getattr(torch, ref.dtype)
            start = self.layout[ref.buffer][0] // dtype.itemsize + ref.offset
            empty = torch.empty(0, dtype=dtype)
            known = empty.set_(self._whole.untyped_storage(), start, ref.shape, ref.stride)
            self._views[ref] = known
        return known


class Arena(Pages):
    """The parent's end. Closes its descriptor in `close`, or at the end of a `with` block."""

    def __init__(self, plan: LaunchPlan, poison: int = POISONS[0]) -> None:
        _, self.size = lay_out([buffer.nbytes for buffer in plan.buffers])
        self.poison = poison
        self.fd = os.memfd_create("tritonrl-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, self.size)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALED)
            super().__init__(plan, mmap.mmap(self.fd, self.size))
        except BaseException:
            os.close(self.fd)
            raise
        self.bytes[PAGE:] = poison

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back; tensors in the memory keep it. Safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def progress(self) -> int:
        """How far the child got, by its own word (see `Shared.reached`): the line of the step that it is at."""
        return int.from_bytes(self.bytes[:4].tobytes(), "little")

    def guards_hold(self) -> bool:
        """Whether nothing was written between and around the buffers."""
        starts = [PAGE, *(offset + size for offset, size in self.layout)]
        ends = [*(offset for offset, _ in self.layout), self.size]
        # As bytes: each of NumPy's operations on this many would give up the interpreter's lock and wait for it anew.
        zones = (self.bytes[a:b].tobytes() for a, b in zip(starts, ends, strict=True))
        return all(zone.count(self.poison) == len(zone) for zone in zones)


class Shared(Pages):
    """The child's end: the same pages, writable."""

    def __init__(self, plan: LaunchPlan, fd: int) -> None:
        mapping = mmap.mmap(fd, os.fstat(fd).st_size)
        super().__init__(plan, mapping)

    def reached(self, line: int) -> None:
        """Note the line of the candidate that is being carried out."""
        self.bytes[:4] = np.frombuffer((line & 0xFFFFFFFF).to_bytes(4, "little"), dtype=np.uint8)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
