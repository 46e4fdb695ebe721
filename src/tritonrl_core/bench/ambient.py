"""What surrounds a reference while it runs: seeds, default dtype and TF32, each put back afterwards.

A reference is a user's code and may change any of these; nothing of it may leak into the next case.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed every generator that a reference may draw from, and put the old states back afterwards."""
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
def default_dtype(dtype: torch.dtype | None = None) -> Iterator[None]:
    """Run with this default dtype (None: as it is), and undo what the reference itself may set."""
    before = torch.get_default_dtype()
    if dtype is not None:
        torch.set_default_dtype(dtype)
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
