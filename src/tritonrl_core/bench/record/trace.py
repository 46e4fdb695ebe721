"""What a candidate does, written down while it runs on fake tensors: storages, ATen calls and launches, in order.

A trace lives as long as one recording child. It is cut into regions (`init`, one for each run of `forward`); `planner`
makes launch plans of them. It judges nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from tritonrl_core.bench.plan.flow import access, unclear
from tritonrl_core.bench.plan.schema import (
    DTYPES,
    Arg,
    AtenCall,
    Descriptor,
    Kernel,
    Launch,
    LaunchArg,
    Note,
    Step,
    TensorRef,
    Tune,
    Word,
)
from tritonrl_core.bench.record.shadows import Shadows

CANDIDATE_FILE = "candidate.py"
"""The file name under which a candidate's code runs; lines of the plan are lines of it."""

FIRST_ADDRESS = 0x7E00_0000_0000
ALIGNMENT = 512


class ValueNeededError(Exception):
    """The program asked for a value that is not known while it runs on fake tensors."""


class UnsupportedCallError(Exception):
    """The program did something that a plan cannot hold."""


@dataclass
class Storage:
    """A piece of memory that was seen: its number, address and where its content came from. Kept alive, so that neither
    its number nor its address is given twice.
    """

    number: int
    nbytes: int
    address: int
    role: str
    region: str
    keep: Any
    data: bytes = b""


@dataclass
class Region:
    """What happened in one part of a recording."""

    name: str
    steps: list[Step] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Trace:
    """The log. Steps go to the current region, or to a capture or a tuning variant while one is open."""

    def __init__(self) -> None:
        self.storages: list[Storage] = []
        self.kernels: list[Kernel] = []
        self.regions: dict[str, Region] = {}
        self.shadows = Shadows()
        self.follows = False
        """Whether launches are carried out on the values that are known."""
        self.keeps_launches = True
        self._aside = 0
        """Above 0 while what is recorded does not happen: a graph's capture, and all but one of a tuner's choices."""
        self._numbers: dict[int, int] = {}
        self._next_address = FIRST_ADDRESS
        self._region = Region("import")
        self._open: list[list[Step]] = []
        self._kept: list[Any] = []

    @contextmanager
    def region(self, name: str) -> Iterator[Region]:
        """Steps from here on belong to the region of this name."""
        before, self._region = self._region, self.regions.setdefault(name, Region(name))
        try:
            yield self._region
        finally:
            self._region = before

    @property
    def steps(self) -> list[Step]:
        return self._open[-1] if self._open else self._region.steps

    def storage(self, tensor: torch.Tensor, role: str = "alloc", data: bytes = b"") -> Storage:
        """The storage that a tensor lies in; a new one is entered with this role."""
        raw = tensor.untyped_storage()
        number = self._numbers.get(raw._cdata)
        if number is None:
            number = len(self.storages)
            nbytes = int(raw.nbytes())
            self.storages.append(Storage(number, nbytes, self._next_address, role, self._region.name, raw, data))
            self._numbers[raw._cdata] = number
            self._next_address += (nbytes // ALIGNMENT + 2) * ALIGNMENT
        return self.storages[number]

    def alias(self, tensor: torch.Tensor, number: int) -> None:
        """From now on the tensor's storage counts as storage `number`: the same memory on another device."""
        raw = tensor.untyped_storage()
        self._numbers[raw._cdata] = number
        self._kept.append(raw)

    def knows(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._numbers

    def ref(self, tensor: torch.Tensor) -> TensorRef:
        """Where a tensor lies. Raises `UnsupportedCallError` for a sparse or nested one, and for one that is negated or
        conjugated when it is read: its memory holds other values than it shows.
        """
        if tensor.layout is not torch.strided:
            raise UnsupportedCallError(f"a tensor with layout {tensor.layout} cannot be recorded")
        if tensor.is_neg() or tensor.is_conj():
            raise UnsupportedCallError("a view that negates or conjugates lazily cannot be recorded; resolve it first")
        storage = self.storage(tensor)
        shape, stride = tuple(map(int, tensor.shape)), tuple(map(int, tensor.stride()))
        dtype = dtype_name(tensor.dtype)
        if dtype not in DTYPES:
            raise UnsupportedCallError(f"a tensor of {dtype} cannot be recorded")
        return TensorRef(storage.number, shape, stride, int(tensor.storage_offset()), dtype)

    def address(self, tensor: torch.Tensor) -> int:
        """The address that the program is told: another for every storage, and aligned as the memory will be."""
        return self.storage(tensor).address + int(tensor.storage_offset()) * tensor.element_size()

    # What the stand-ins tell.

    def on_note(self, kind: str, text: str) -> None:
        note = Note(kind, text[:200], candidate_line())
        if note not in self._region.notes and len(self._region.notes) < 100:
            self._region.notes.append(note)

    def on_capture_begin(self) -> None:
        self._open.append([])
        self._aside += 1

    def on_capture_end(self) -> list[Any]:
        self._aside -= 1
        return self._open.pop()

    def on_graph_replay(self, steps: list[Any]) -> None:
        self.steps.extend(steps)
        for step in steps:
            if isinstance(step, Launch):
                self._follow(step)
            else:
                self.shadows.forget(access(step, self.kernels).writes)

    def on_launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: Sequence[Any]) -> None:
        if min(grid) < 0:
            raise RuntimeError(f"Triton Error [CUDA]: invalid argument (grid {grid})")
        args = tuple(self._launch_arg(i, value) for i, value in enumerate(arguments))
        if 0 in grid:
            self.on_note("empty_grid", f"the grid of {kernel.name} is {grid}")
            return
        unknown = unclear(kernel)
        if unknown:
            # Before anything is concluded from what it might read or write.
            raise UnsupportedCallError(f"kernel {kernel.name} {unknown}")
        launch = Launch(self._kernel(kernel), grid, args, candidate_line())
        self.steps.append(launch)
        self._follow(launch)

    def on_tune(self, calls: Sequence[Callable[[], Any]], failures: type[Exception]) -> int:
        variants: list[tuple[Any, ...]] = []
        chosen, failure = -1, None
        for number, call in enumerate(calls):
            aside = chosen >= 0
            self._aside += aside
            self._open.append([])
            try:
                call()
            except failures as error:
                failure = error
                continue
            finally:
                seen = self._open.pop()
                self._aside -= aside
            chosen = number if chosen < 0 else chosen
            if tuple(seen) not in variants:
                variants.append(tuple(seen))
        if chosen < 0:
            raise failure if failure is not None else ValueError("no configuration to choose from")
        if any(isinstance(step, Tune) for variant in variants for step in variant):
            raise UnsupportedCallError("an autotuned kernel inside another's configuration")
        self.steps.extend(variants[0] if len(variants) == 1 else [Tune(tuple(variants), candidate_line())])
        return chosen

    def _follow(self, launch: Launch) -> None:
        """Keep values up to date: carry the launch out on them where the recording was given values."""
        if self._aside:
            return
        seen = access(launch, self.kernels)
        if not self.follows:
            self.shadows.forget(seen.writes)
            return
        touched = [self.storages[number] for number in seen.touched]
        fresh = {storage.number: storage.nbytes for storage in touched if storage.role == "alloc"}
        self.shadows.launch(launch, self.kernels[launch.kernel], seen, fresh)

    def on_aten(self, name: str, args: Sequence[Any], kwargs: dict[str, Any], outputs: Sequence[Any]) -> None:
        """A call that is neither a view nor an allocation."""
        refs = tuple(self.ref(out) if isinstance(out, torch.Tensor) else None for out in outputs)
        plain = {key: self.argument(value) for key, value in kwargs.items() if value is not None}
        plain.pop("pin_memory", None)
        self.steps.append(AtenCall(name, tuple(map(self.argument, args)), plain, refs, candidate_line()))

    def argument(self, value: Any) -> Arg:
        """An argument of an ATen call as the plan writes it."""
        if isinstance(value, torch.Tensor):
            return self.ref(value)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return tuple(self.argument(part) for part in value)
        for kind in (torch.dtype, torch.device, torch.layout, torch.memory_format):
            if isinstance(value, kind):
                name = value.type if isinstance(value, torch.device) else dtype_name(value)
                return Word(kind.__name__, name)
        raise UnsupportedCallError(f"an argument of type {type(value).__name__} cannot be recorded")

    def _kernel(self, kernel: Kernel) -> int:
        for number, known in enumerate(self.kernels):
            if known is kernel or known == kernel:
                return number
        self.kernels.append(kernel)
        return len(self.kernels) - 1

    def _launch_arg(self, position: int, value: Any) -> LaunchArg:
        if type(value).__name__ == "TensorWrapper":
            value = value.base
        if isinstance(value, torch.Tensor):
            if value.device.type != "cuda":
                raise ValueError(f"Pointer argument (at {position}) cannot be accessed from Triton (cpu tensor?)")
            return self.ref(value)
        if type(value).__name__ == "TensorDescriptor":
            return self._descriptor(value, position)
        if isinstance(value, float):
            return value
        number = int(value)
        if FIRST_ADDRESS <= number < self._next_address:
            raise UnsupportedCallError("a kernel takes a device address as a number; pass the tensor itself")
        return number

    def _descriptor(self, value: Any, position: int) -> Descriptor:
        base = self._launch_arg(position, value.base)
        if not isinstance(base, TensorRef):
            raise UnsupportedCallError("a tensor descriptor without a tensor")
        sizes = [tuple(map(int, part)) for part in (value.shape, value.strides, value.block_shape)]
        padding, tf32 = getattr(value, "padding", "zero"), bool(getattr(value, "round_f32_to_tf32", False))
        return Descriptor(base, sizes[0], sizes[1], sizes[2], padding, tf32)


def dtype_name(value: Any) -> str:
    """`torch.float32` → `float32`; works for layouts and memory formats too."""
    return str(value).removeprefix("torch.")


def candidate_line() -> int:
    """The line of the candidate's code that is being executed; 0 outside it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == CANDIDATE_FILE:
            return frame.f_lineno
        frame = frame.f_back
    return 0
