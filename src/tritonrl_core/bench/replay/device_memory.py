"""Memory of a replay: every buffer of a plan in one arena on the device, poisoned, with guard zones around each.

Nothing else of ours is mapped while a candidate's kernels run, except what `resident` lists. The arena is made anew for
every replay; what it held is overwritten before it is freed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tritonrl_core.bench.plan.schema import TensorRef

GUARD = 4096
"""Bytes on each side of a buffer that nobody may write."""

ALIGNMENT = 512
SEGMENT, LEAST = 2 << 20, 10 << 20
"""What PyTorch asks the driver for is a multiple of the one; of less than the other it would keep a part for others.
The arena takes all of what it is given: what is left over would be memory that a kernel could write to unseen, and find
again at its next launch."""

POISONS = (0xFF, 0x47)
"""Bytes that fresh memory is filled with: all ones is NaN in every floating type, the other a finite number in each."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a buffer lies in the arena, in bytes."""

    start: int
    nbytes: int


class Arena:
    """Buffers in one allocation. Raises `torch.OutOfMemoryError` where the device has not enough."""

    def __init__(
        self, sizes: Sequence[int | None], device: torch.device, poison: int = POISONS[0], shift: int = 0
    ) -> None:
        """`sizes` in bytes by buffer number; None for a buffer that lies elsewhere. `shift` moves all buffers by so
        many bytes, a multiple of `ALIGNMENT`."""
        self.poison = poison
        self.slots: list[Slot | None] = []
        place = GUARD + shift
        for size in sizes:
            self.slots.append(None if size is None else Slot(place, size))
            if size is not None:
                place = -(-(place + size + GUARD) // ALIGNMENT) * ALIGNMENT
        whole = place + GUARD
        if device.type == "cuda":
            whole = max(LEAST, -(-whole // SEGMENT) * SEGMENT)
        self.memory = torch.full((whole,), poison, dtype=torch.uint8, device=device)

    def tensor(self, ref: TensorRef) -> torch.Tensor:
        """The tensor that a reference means."""
        slot = self.slots[ref.buffer]
        if slot is None:
            raise KeyError(ref.buffer)
        return strided(self.memory.untyped_storage(), ref, slot.start)

    def bytes_of(self, buffer: int) -> torch.Tensor:
        """A buffer's bytes."""
        slot = self.slots[buffer]
        if slot is None:
            raise KeyError(buffer)
        return self.memory[slot.start : slot.start + slot.nbytes]

    @property
    def guards(self) -> int:
        """Bytes that lie around the buffers."""
        return self.memory.numel() - sum(slot.nbytes for slot in self.slots if slot is not None)

    def guards_hold(self) -> bool:
        """Whether every byte outside the buffers is as it was."""
        return not bool(self.disturbed())

    def disturbed(self) -> torch.Tensor:
        """The opposite, still on the device."""
        edges = [0]
        for slot in self.slots:
            if slot is not None:
                edges += [slot.start, slot.start + slot.nbytes]
        edges.append(self.memory.numel())
        gaps = [self.memory[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return (torch.cat(gaps) != self.poison).any()

    def repoison(self, poison: int) -> None:
        """Fill everything with another byte."""
        self.poison = poison
        self.memory.fill_(poison)


def strided(storage: Any, ref: TensorRef, start: int = 0) -> torch.Tensor:
    """A tensor in a storage; `start` is where its buffer begins, in bytes (a multiple of 16)."""
    dtype = getattr(torch, ref.dtype)
    empty = torch.empty(0, dtype=dtype, device=storage.device)
    return empty.set_(storage, start // dtype.itemsize + ref.offset, ref.shape, ref.stride)


def wipe(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrite the memory that tensors lie in, each once, so that nobody finds it in freed memory."""
    done = set()
    for tensor in tensors:
        raw = tensor.untyped_storage()
        if not raw.nbytes() or raw.data_ptr() in done:
            continue
        done.add(raw.data_ptr())
        whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(raw, 0, (raw.nbytes(),), (1,))
        whole.fill_(POISONS[1])


def bit_sum(tensor: torch.Tensor) -> torch.Tensor:
    """A sum over a tensor's bits, still on the device."""
    raw = tensor.detach().contiguous().flatten().view(torch.uint8)
    if raw.storage_offset() % 8:
        return raw.sum()
    whole = raw.numel() // 8 * 8
    total = raw[:whole].view(torch.int64).sum()  # eight bytes at a time; it may overflow, alike each time
    return total + raw[whole:].sum() if whole < raw.numel() else total
