"""Tensors in shared memory between the trusted parent and a child: an arena of guarded buffers, and values as JSON.

The parent makes the arena, of a size that cannot change, and fills it with inputs, parameters and room for the outputs;
the child maps the same pages and works in place. After the child is dead the parent sees what became of each buffer and
of the guard zones between them. What a child says about its outputs is not looked at here.

    | progress (one page) | guard | buffer 0 | guard | buffer 1 | guard | ... | outputs | guard |
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tritonrl_core.bench.wire import SEALED
from tritonrl_core.errors import InfraError

PAGE = 4096
GUARD = PAGE
ALIGN = 256
"""What CUDA's allocator gives at least; kernels may rely on 16."""

MOST_BYTES = 8 << 30

Array = np.ndarray[Any, np.dtype[np.uint8]]

Layout = tuple[tuple[int, int], ...]
"""(offset, bytes) of each buffer."""


@dataclass
class Packer:
    """Turns values into JSON, collecting the memory behind tensors; tensors that share memory go on sharing it."""

    buffers: list[Array] = field(default_factory=list)
    _known: dict[int, int] = field(default_factory=dict)

    def encode(self, value: Any) -> Any:
        """JSON for tensors, scalars, dtypes, devices and lists, tuples and dicts of them. Raises `TypeError`."""
        if isinstance(value, Tensor):
            return {"$tensor": self._tensor(value)}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, list):
            return [self.encode(part) for part in value]
        if isinstance(value, tuple):
            return {"$tuple": [self.encode(part) for part in value]}
        if isinstance(value, dict):
            return {"$dict": [[self.encode(key), self.encode(part)] for key, part in value.items()]}
        if isinstance(value, torch.dtype):
            return {"$dtype": dtype_name(value)}
        if isinstance(value, torch.device):
            return {"$device": str(value)}
        raise TypeError(f"a {type(value).__name__} cannot be sent to a worker")

    def _tensor(self, tensor: Tensor) -> list[Any]:
        if tensor.is_sparse or tensor.is_quantized or tensor.device.type != "cpu":
            raise TypeError(f"a {tensor.layout} tensor on {tensor.device} cannot be sent to a worker")
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key not in self._known or not key:
            self._known[key] = len(self.buffers)
            self.buffers.append(torch.empty(0, dtype=torch.uint8).set_(storage).numpy())
        size, stride = list(tensor.shape), list(tensor.stride())
        return [self._known[key], dtype_name(tensor.dtype), size, stride, tensor.storage_offset()]


class Arena:
    """The parent's end. Closes its descriptor and mapping in `close`, or at the end of a `with` block."""

    def __init__(self, buffers: Sequence[Array], output_bytes: int) -> None:
        self._originals = list(buffers)
        self.layout, self.size = lay_out([buffer.nbytes for buffer in buffers], output_bytes)
        if self.size > MOST_BYTES:
            raise InfraError(
                f"one case needs {self.size / 2**30:.1f} GiB of inputs and outputs, more than the bench lends",
                remedy="Use smaller dimensions on the CPU.",
            )
        self.fd = os.memfd_create("tritonrl-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, self.size)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALED)
            self._bytes = np.frombuffer(mmap.mmap(self.fd, self.size), dtype=np.uint8)
        except BaseException:
            os.close(self.fd)
            raise
        # Random, so that no answer can be right by having been left alone.
        self._pattern = np.frombuffer(os.urandom(GUARD), dtype=np.uint8)
        for offset, size in (*self._gaps(), self.layout[-1]):
            self._bytes[offset : offset + size] = np.resize(self._pattern, size)
        for (offset, size), buffer in zip(self.layout, self._originals, strict=False):
            self._bytes[offset : offset + size] = buffer

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self._bytes = np.empty(0, dtype=np.uint8)  # the last reference to the mapping

    @property
    def output(self) -> tuple[int, int]:
        """(offset, bytes) of the room for outputs."""
        return self.layout[-1]

    def progress(self) -> int:
        """How far the child got, by its own word (see `View.reached`)."""
        return int(self._bytes[0])

    def changed(self) -> list[int]:
        """The buffers whose bytes are not what the parent put there."""
        return [
            index
            for index, ((offset, size), buffer) in enumerate(zip(self.layout, self._originals, strict=False))
            if not np.array_equal(self._bytes[offset : offset + size], buffer)
        ]

    def guards_hold(self) -> bool:
        """Whether nothing was written between and around the buffers."""
        return all(
            np.array_equal(self._bytes[offset : offset + size], np.resize(self._pattern, size))
            for offset, size in self._gaps()
        )

    def outputs(self, wanted: Sequence[tuple[tuple[int, ...], torch.dtype]]) -> list[Tensor]:
        """Copies of the outputs that the child left, taken as tensors of these shapes and dtypes."""
        offset, _ = self.output
        places = output_places(wanted)
        return [
            _view(self._bytes, offset + place, shape, dtype).clone()
            for place, (shape, dtype) in zip(places, wanted, strict=True)
        ]

    def decode(self, value: Any) -> Any:
        """A value that this arena's packer encoded, with copies of its tensors as the child left them."""
        return _decode(value, [torch.from_numpy(self._bytes[o : o + n].copy()) for o, n in self.layout[:-1]])

    def _gaps(self) -> list[tuple[int, int]]:
        starts = [PAGE, *(offset + size for offset, size in self.layout)]
        ends = [*(offset for offset, _ in self.layout), self.size]
        return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


class View:
    """The child's end: the same pages, writable, one separate storage for each buffer."""

    def __init__(self, fd: int, layout: Sequence[Sequence[int]]) -> None:
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self._layout = layout
        self._buffers = [_storage(self._map, offset, size) for offset, size in layout[:-1]]

    def reached(self, step: int) -> None:
        """Note how far this child got."""
        self._map[0] = step

    def decode(self, value: Any) -> Any:
        return _decode(value, self._buffers)

    def write_outputs(self, outputs: Sequence[Tensor]) -> None:
        """Leave the outputs for the parent. What does not fit is not what was asked for, and is not written."""
        offset, room = self._layout[-1]
        places = output_places([(tuple(output.shape), output.dtype) for output in outputs])
        for output, place in zip(outputs, places, strict=True):
            size = output.numel() * output.element_size()
            if 0 < size <= room - place:
                target = torch.frombuffer(self._map, dtype=torch.uint8, count=size, offset=offset + place)
                target.copy_(output.contiguous().flatten().view(torch.uint8))


def lay_out(sizes: Sequence[int], output_bytes: int) -> tuple[Layout, int]:
    """Where buffers of these sizes and the outputs lie, and the size of the whole arena."""
    layout, offset = [], PAGE
    for size in (*sizes, output_bytes):
        offset = _up(offset + GUARD, ALIGN)
        layout.append((offset, size))
        offset += size
    return tuple(layout), _up(offset + GUARD, PAGE)


def output_places(outputs: Sequence[tuple[tuple[int, ...], torch.dtype]]) -> list[int]:
    """Where each output starts within the room for outputs."""
    places, offset = [], 0
    for shape, dtype in outputs:
        places.append(offset)
        offset = _up(offset + math.prod(shape) * dtype.itemsize, ALIGN)
    return places


def output_bytes(outputs: Sequence[tuple[tuple[int, ...], torch.dtype]]) -> int:
    return sum(_up(math.prod(shape) * dtype.itemsize, ALIGN) for shape, dtype in outputs)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def dtype_of(name: Any) -> torch.dtype | None:
    """The dtype of this name; None where there is none (the name may come from a stranger)."""
    dtype = getattr(torch, name, None) if isinstance(name, str) else None
    return dtype if isinstance(dtype, torch.dtype) else None


def _decode(value: Any, buffers: Sequence[Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(part, buffers) for part in value]
    if not isinstance(value, Mapping):
        return value
    ((kind, body),) = value.items()
    if kind == "$tensor":
        buffer, dtype, size, stride, offset = body
        typed = torch.empty(0, dtype=getattr(torch, dtype))
        return typed.set_(buffers[buffer].untyped_storage(), offset, size, stride)
    if kind == "$tuple":
        return tuple(_decode(part, buffers) for part in body)
    if kind == "$dict":
        return {_decode(key, buffers): _decode(part, buffers) for key, part in body}
    if kind == "$float":
        return float(body)
    return getattr(torch, body) if kind == "$dtype" else torch.device(body)


def _storage(memory: mmap.mmap, offset: int, size: int) -> Tensor:
    if size == 0:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(memory, dtype=torch.uint8, count=size, offset=offset)


def _view(data: Array, offset: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(data[offset : offset + size]).view(dtype).view(shape)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
