"""Tensors kept in an anonymous file that no process maps: there is no address by which they could be reached.

Whoever reads them gets a copy. What a tensor means is its owner's business.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

import torch
from torch import Tensor

ALIGNMENT = 64
PAGE = 4096
_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02


@dataclass(frozen=True, slots=True)
class Lies:
    """How a tensor lies in a box: its storage's first byte and size, and its own shape, stride and offset there."""

    start: int
    nbytes: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype

    def tensor(self, memory: Tensor, start: int = 0) -> Tensor:
        """The tensor, where its storage begins at byte `start` of some memory."""
        empty = torch.empty(0, dtype=self.dtype, device=memory.device)
        place = start // self.dtype.itemsize + self.offset
        empty.set_(memory.untyped_storage(), place, self.shape, self.stride)
        return empty


class Box:
    """Storages one after the other; one that several tensors share is laid once."""

    def __init__(self) -> None:
        self.nbytes = 0
        self.parts: list[tuple[int, Tensor]] = []
        self._starts: dict[tuple[int, int], int] = {}

    def add(self, tensor: Tensor) -> Lies:
        """Lay a tensor's whole storage; it may be on any device."""
        storage = tensor.untyped_storage()
        name = (storage.data_ptr(), storage.nbytes())
        if name not in self._starts or not storage.nbytes():
            self._starts[name] = self.nbytes
            raw = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage, 0, (storage.nbytes(),), (1,))
            self.parts.append((self.nbytes, raw))  # keeps the storage alive, so that its address stays its own
            self.nbytes = -(-(self.nbytes + storage.nbytes()) // ALIGNMENT) * ALIGNMENT
        shape, stride = tuple(tensor.shape), tuple(tensor.stride())
        return Lies(self._starts[name], storage.nbytes(), shape, stride, int(tensor.storage_offset()), tensor.dtype)


class Shelf:
    """Boxes in one file. Places are never used twice; what is dropped is given back to the system."""

    def __init__(self, name: str) -> None:
        self._fd = os.memfd_create(name, os.MFD_CLOEXEC)
        self._end = 0

    def put(self, box: Box) -> int:
        """Write a box; its place."""
        place = self._end
        self._end += -(-max(box.nbytes, 1) // PAGE) * PAGE
        os.ftruncate(self._fd, self._end)
        for start, raw in box.parts:
            data, done = raw.cpu().numpy().data, 0
            while done < len(data):
                done += os.pwrite(self._fd, data[done:], place + start + done)
        return place

    def read(self, place: int, nbytes: int, into: Tensor | None = None) -> Tensor:
        """Bytes from a place on, as a new tensor on the host; or `into` one that is there, of so many bytes."""
        block = torch.empty(nbytes, dtype=torch.uint8) if into is None else into
        view, done = block.numpy().data, 0
        while done < nbytes:
            done += os.preadv(self._fd, [view[done:]], place + done)
        return block

    def drop(self, place: int, nbytes: int) -> None:
        """Give the memory of a box back. Raises `OSError`."""
        size = -(-max(nbytes, 1) // PAGE) * PAGE
        libc = ctypes.CDLL(None, use_errno=True)
        how = (ctypes.c_int(self._fd), ctypes.c_int(_KEEP_SIZE_PUNCH_HOLE), ctypes.c_int64(place), ctypes.c_int64(size))
        if libc.fallocate(*how):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def held(self) -> int:
        """Bytes of memory that the file has now."""
        return os.fstat(self._fd).st_blocks * 512

    def close(self) -> None:
        os.close(self._fd)
