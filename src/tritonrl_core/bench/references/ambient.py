"""What surrounds a reference while it runs: seeds, default dtype and TF32, each put back afterwards.

A reference is a user's code and may change any of these; nothing of it may leak into the next case. Seeds belong to the
process, so only one reference runs at a time; other threads go on with what does not draw random numbers.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

exclusive = threading.RLock()
"""Held while a reference runs, because it draws from the process's generators. The only lock of this kind: whoever must
do several such things in one go takes it around them, and `seeded` takes it again."""

_FACTORIES = frozenset({
    torch.arange, torch.as_tensor, torch.empty, torch.eye, torch.full, torch.linspace, torch.logspace, torch.ones,
    torch.rand, torch.randn, torch.tensor, torch.zeros,
})  # fmt: skip
"""Functions that make tensors in the default dtype where none is named."""


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed every generator that a reference may draw from, and put the old states back afterwards.

    One thread at a time is inside; the others wait.
    """
    with exclusive:
        yield from _seeded(seed, device)


def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    numpy = sys.modules.get("numpy")
    python_before, torch_before = random.getstate(), torch.get_rng_state()
    numpy_before = numpy.random.get_state() if numpy else None
    cuda_before = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if numpy:
        numpy.random.seed(seed % 2**32)
    if cuda_before is not None:
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_before)
        torch.set_rng_state(torch_before)
        if numpy:
            numpy.random.set_state(numpy_before)
        if cuda_before is not None:
            torch.cuda.set_rng_state(cuda_before, device)


@contextmanager
def own_default_dtype() -> Iterator[None]:
    """Undo what a reference may do to the default dtype."""
    before = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def placed(device: torch.device) -> AbstractContextManager[object]:
    """Make new tensors on `device`. Nothing on the CPU, where the context would only cost time."""
    return device if device.type != "cpu" else nullcontext()


def ieee(device: torch.device) -> AbstractContextManager[object]:
    """No TF32 in convolutions (matrix products have none unless someone asks)."""
    return torch.backends.cudnn.flags(allow_tf32=False) if device.type == "cuda" else nullcontext()


class DoubleFactories(TorchFunctionMode):
    """Tensors that a forward makes in the default dtype become double, in this thread only.

    Setting the default dtype itself would change it for every thread.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        makes_default = func in _FACTORIES and not (kwargs or {}).get("dtype")
        if not makes_default or result.dtype != torch.get_default_dtype() or _has_tensor(args):
            return result
        random_draw = func in (torch.rand, torch.randn)
        return result.double() if random_draw else func(*args, **{**(kwargs or {}), "dtype": torch.float64})


def _has_tensor(args: tuple[Any, ...]) -> bool:
    return any(isinstance(value, torch.Tensor) for value in args)
