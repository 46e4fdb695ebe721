"""Tensors kept in an anonymous file that no process maps: there is no address by which they could be reached.

Several processes may share it. Whoever reads gets a copy. What a tensor means is its owner's business.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tritonrl_core.errors import InfraError

ALIGNMENT = 64
PAGE = 4096
MOST = 2 << 30
"""Bytes of boxes that may be found; up to half as many more are still there for those who found them before."""

_BOUNDS, _REGION = struct.Struct("<QQ"), struct.Struct("<QQ")
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

    def data(self) -> list[Any]:
        """As plain data, of which `lies` makes the same again."""
        return [self.start, self.nbytes, self.shape, self.stride, self.offset, str(self.dtype).removeprefix("torch.")]

    def tensor(self, memory: Tensor, start: int = 0) -> Tensor:
        """The tensor, where its storage begins at byte `start` of some memory."""
        empty = torch.empty(0, dtype=self.dtype, device=memory.device)
        place = start // self.dtype.itemsize + self.offset
        empty.set_(memory.untyped_storage(), place, self.shape, self.stride)
        return empty


def lies(data: Sequence[Any]) -> Lies:
    """What `Lies.data` gave."""
    start, nbytes, shape, stride, offset, dtype = data
    return Lies(start, nbytes, tuple(shape), tuple(stride), offset, getattr(torch, dtype))


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
    """Boxes in one file, each with a label by which other processes that have the file find it. The oldest make room.

    The file is a page of bounds and then one region for each box: its size and its label's length, which is written
    last, so that a box that was never finished is none; the label; the box, from the next page on.
    """

    def __init__(self, file: int, *, most: int = MOST) -> None:
        """`file` is a descriptor of what `new_file` gave, and stays the caller's; `most` is in bytes."""
        # Opened anew: a lock belongs to the open file, and an inherited one is shared by all.
        self._fd = os.open(f"/proc/self/fd/{file}", os.O_RDWR | os.O_CLOEXEC)
        self._most = most
        self._next = PAGE
        self._unfinished: list[int] = []

    def put(self, label: bytes, box: Box) -> None:
        """Write a box; from then on `look` finds it."""
        head = _pages(_REGION.size + len(label))
        size = head + _pages(box.nbytes)
        start = self._room(size)
        for place, raw in box.parts:
            self._write(raw.cpu().numpy().data, start + head + place)
        self._write(label, start + _REGION.size)
        self._write(_REGION.pack(size, len(label)), start)
        self._make_room()

    def look(self) -> list[tuple[bytes, int]]:
        """Labels of the boxes that came since the last look, and where the boxes begin; this process's own too."""
        oldest = self.oldest
        self._next = max(self._next, oldest)
        starts = [start for start in self._unfinished if start >= oldest]
        while (size := self._region(self._next)[0]) > 0:
            starts.append(self._next)
            self._next += size
        found = [(start, self._region(start)[1]) for start in starts]
        self._unfinished = [start for start, length in found if not length]
        return [
            (os.pread(self._fd, length, start + _REGION.size), start + _pages(_REGION.size + length))
            for start, length in found if length
        ]  # fmt: skip

    def read(self, place: int, nbytes: int, into: Tensor | None = None) -> Tensor:
        """Bytes from a place on, as a new tensor on the host; or `into` one that is there, of so many bytes.

        Raises `InfraError` where the box has made room meanwhile: those that `oldest` no longer covers stay for as long
        as it takes to write half of `most`.
        """
        block = torch.empty(nbytes, dtype=torch.uint8) if into is None else into
        view, done = block.numpy().data, 0
        while done < nbytes and (got := os.preadv(self._fd, [view[done:]], place + done)):
            done += got
        if done < nbytes or place < self._bounds()[1]:
            raise InfraError("a case was given up while it was in use: there is too little room for cases")
        return block

    @property
    def oldest(self) -> int:
        """From where on boxes may be used that are found now."""
        return self._bounds()[0]

    def held(self) -> int:
        """Bytes of memory that the file has now."""
        return os.fstat(self._fd).st_blocks * 512

    def close(self) -> None:
        os.close(self._fd)

    def _room(self, size: int) -> int:
        """Where a region of this size begins; it is nobody else's."""
        with self._alone():
            end = os.fstat(self._fd).st_size
            if end % PAGE:  # whoever wrote this header was killed before the file was as long as it says
                start = end // PAGE * PAGE
                end = start + max(PAGE, self._region(start)[0])
            self._write(_REGION.pack(size, 0), end)
            os.ftruncate(self._fd, end + size)
            return end

    def _make_room(self) -> None:
        """Let the older half go where there is too much. What went the time before is given back to the system."""
        with self._alone():
            oldest, gone = self._bounds()
            end = os.fstat(self._fd).st_size
            if end - oldest <= self._most:
                return
            first = oldest
            while end - first > self._most // 2 and (size := self._region(first)[0]):
                first += size
            self._write(_BOUNDS.pack(first, oldest), 0)
            _punch(self._fd, gone, oldest - gone)

    def _bounds(self) -> tuple[int, int]:
        """Where what may be found begins, and what is still there."""
        oldest, gone = _BOUNDS.unpack(os.pread(self._fd, _BOUNDS.size, 0))
        return oldest, gone

    def _region(self, start: int) -> tuple[int, int]:
        """Size and label's length; zeros beyond the end."""
        size, length = _REGION.unpack(os.pread(self._fd, _REGION.size, start).ljust(_REGION.size, b"\0"))
        return size, length

    def _write(self, data: bytes | memoryview, place: int) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self._fd, data[done:], place + done)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


def new_file(name: str) -> int:
    """A shelf's file with nothing on it, to be inherited; the caller's to close."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.pwrite(fd, _BOUNDS.pack(PAGE, PAGE).ljust(PAGE, b"\0"), 0)
    return fd


def _pages(nbytes: int) -> int:
    return -(-nbytes // PAGE) * PAGE


def _punch(fd: int, place: int, size: int) -> None:
    """Give memory of a file back. Raises `OSError`."""
    if not size:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    how = (ctypes.c_int(fd), ctypes.c_int(_KEEP_SIZE_PUNCH_HOLE), ctypes.c_int64(place), ctypes.c_int64(size))
    if libc.fallocate(*how):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
