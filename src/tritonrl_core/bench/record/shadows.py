"""Values beside fake tensors: what the CPU knows of a program's data while it is recorded.

Data written in Python has a value always; inputs and parameters where the recording was given theirs. An ATen call on
known values is also carried out on the CPU, and where the values of inputs were given, launches are carried out by the
machine; else what a kernel writes is unknown from then on. Only for answering a program that asks for a value: nothing
here goes into a plan, except that the question was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._pytree import tree_flatten, tree_map

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.machine import launch as machine
from tritonrl_core.bench.machine.memory import Segment
from tritonrl_core.bench.plan.flow import Access
from tritonrl_core.bench.plan.schema import Kernel, Launch

LARGEST = 1 << 20
"""Bytes up to which a result is followed where no values were given: constants, small tables."""

SPACE = 1 << 40
"""Addresses that each storage is given; larger than any."""

MOST_ANSWERS = 64
"""Values that a program may ask for in one recording; more is computing in Python."""


class Shadows:
    """Real storages by the number of the fake one. `largest` bounds what is followed, in bytes."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self.answers = 0
        self._real: dict[int, torch.UntypedStorage] = {}
        self._lost: set[int] = set()

    def set(self, number: int, data: bytes | bytearray) -> None:
        """The content of a storage."""
        with no_dispatch():
            raw = torch.frombuffer(bytearray(data), dtype=torch.uint8) if len(data) else torch.empty(0)
            self._real[number] = raw.untyped_storage()

    def forget(self, numbers: Iterable[int]) -> None:
        """Someone wrote here who was not followed."""
        for number in numbers:
            self._real.pop(number, None)
            self._lost.add(number)

    def launch(self, launch: Launch, kernel: Kernel, seen: Access, fresh: Mapping[int, int]) -> None:
        """Carry a launch out, where all that it reads is known; else forget what it writes.

        `fresh` are the buffers that were only allocated, with their sizes in bytes: they hold poison until written.
        """
        for number, nbytes in fresh.items():
            if number not in self._real and number not in self._lost:
                self.set(number, b"\xff" * nbytes)
        if not seen.touched <= self._real.keys():
            self.forget(seen.writes)
            return
        try:
            with no_dispatch(), np.errstate(all="ignore"):
                machine.run(kernel, launch.grid, launch.args, self._segment)
        except machine.FAILURES:
            self.forget(seen.writes)

    def _segment(self, number: int) -> Segment:
        storage = self._real[number]
        whole = torch.empty(0, dtype=torch.uint8).set_(storage, 0, (storage.nbytes(),), (1,))
        return Segment(SPACE * (number + 1), whole.numpy())

    def alias(self, number: int, known: int) -> None:
        """Two numbers of the same memory."""
        if known in self._real:
            self._real[number] = self._real[known]

    def value(self, tensor: Any, number: int) -> Any:
        """The number in a tensor of one element; None where it is not known or too much was asked."""
        real = self._view(tensor, number)
        if real is None or self.answers >= MOST_ANSWERS:
            return None
        self.answers += 1
        with no_dispatch():
            return real.item()

    def call(self, func: Any, args: Any, kwargs: dict[str, Any], numbers: dict[int, int]) -> Any:
        """Carry a call out on values; None where some are not known. `numbers` are storages by the tensors' ids."""
        unknown = False

        def real(value: Any) -> Any:
            nonlocal unknown
            if not isinstance(value, FakeTensor):
                return torch.device("cpu") if isinstance(value, torch.device) else value
            found = self._view(value, numbers[id(value)])
            unknown = unknown or found is None
            return found

        real_args, real_kwargs = tree_map(real, args), tree_map(real, kwargs)
        random = operators.base_name(str(func)) in operators.RANDOM
        if unknown or random:
            return None
        with no_dispatch():
            return func(*real_args, **real_kwargs)

    def take(self, tensor: Any, number: int, real: torch.Tensor) -> None:
        """What a followed call gave: its value becomes the new storage's, laid out like the fake one."""
        if number in self._real:
            return
        with no_dispatch():
            storage = torch.UntypedStorage(int(tensor.untyped_storage().nbytes()))  # type: ignore[no-untyped-call]
            view = torch.empty(0, dtype=real.dtype).set_(
                storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
            )
            view.copy_(real)
        self._real[number] = storage

    def _view(self, tensor: Any, number: int) -> torch.Tensor | None:
        storage = self._real.get(number)
        if storage is None:
            return None
        with no_dispatch():
            empty = torch.empty(0, dtype=tensor.dtype)
            return empty.set_(storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())


def fake_tensors(*values: Any) -> list[FakeTensor]:
    """All fake tensors in some arguments."""
    return [part for part in tree_flatten(values)[0] if isinstance(part, FakeTensor)]
