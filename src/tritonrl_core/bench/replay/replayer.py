"""Replay of a launch plan on the device: buffers, ATen calls and launches, and nothing of a candidate's Python.

Runs in the trusted worker that owns the GPU. It carries out plans that `plan.check` has let through; it does not
compare results, choose cases or decide a verdict (see `replay.check`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.plan.flow import access
from tritonrl_core.bench.plan.schema import AtenCall, Launch, LaunchPlan, Step, TensorRef, Tune, plain_steps, tensors_in
from tritonrl_core.bench.replay import cuda_driver
from tritonrl_core.bench.replay.cuda_driver import LoadedKernel, PreparedLaunch
from tritonrl_core.bench.replay.device_memory import Arena, strided
from tritonrl_core.bench.replay.launch import arguments
from tritonrl_core.bench.walk import Given, Walk, fill


class Replay:
    """A plan with its kernels loaded. `close` unloads them."""

    def __init__(self, plan: LaunchPlan, built: Sequence[CompiledKernel | None], device: torch.device) -> None:
        self.plan = plan
        self.built = built
        self.device = device
        self._loaded: list[LoadedKernel | None] = []
        try:
            for kernel in built:
                self._loaded.append(None if kernel is None else cuda_driver.load(kernel))
        except cuda_driver.CudaError:
            self.close()
            raise
        self.picks = {
            number: self._usable(step)[0] for number, step in enumerate(self._all()) if isinstance(step, Tune)
        }
        self.tuned = False
        self._written, self._used = (_kept_in_arena(plan, reads=reads) for reads in (False, True))

    @property
    def kernels(self) -> list[LoadedKernel]:
        return [kernel for kernel in self._loaded if kernel is not None]

    def close(self) -> None:
        for kernel in self._loaded:
            if kernel is not None:
                kernel.unload()
        self._loaded = []

    def place(self, given: Given, poison: int, shift: int = 0, *, guarded: bool = False) -> Placed:
        """Memory for one run: inputs, state and constants in place, all else poisoned; `shift` bytes further on.

        `guarded`: also what kernels only read of PyTorch's results lies between guard zones, so that reading past its
        end gives poison. That takes a copy, which is not the candidate's, so nothing is timed so.
        """
        return Placed(self, given, poison, shift, guarded)

    def tune(self, placed: Placed, trials: int = 5) -> None:
        """Carry out the plan once, and let the device's clock pick among the alternatives of each tuning group on the
        way: what a group works on is there by then."""
        born: set[int] = set()
        with torch.no_grad():
            for number, step in enumerate(self._all()):
                if isinstance(step, Tune) and len(usable := self._usable(step)) > 1:
                    seconds = {pick: placed.seconds(step.variants[pick], trials) for pick in usable}
                    self.picks[number] = min(seconds, key=seconds.__getitem__)
                placed.carry_out(plain_steps((step,), self.picks.get(number, 0)), born)
        self.tuned = True

    def choose(self, pick: int) -> None:
        """Take this alternative of every tuning group (its last where it has fewer), until the next `tune`."""
        self.picks = {number: min(pick, len(step.variants) - 1)
                      for number, step in enumerate(self._all()) if isinstance(step, Tune)}  # fmt: skip
        self.tuned = False

    def _all(self) -> list[Step]:
        return [*self.plan.prologue, *self.plan.steps]

    def _usable(self, step: Tune) -> list[int]:
        usable = [n for n, variant in enumerate(step.variants)
                  if all(self._loaded[part.kernel] for part in variant if isinstance(part, Launch))]  # fmt: skip
        return usable or [0]

    def chosen(self, *, prologue: bool) -> list[AtenCall | Launch]:
        """The steps of one part, with the picked alternative of each tuning group."""
        first = 0 if prologue else len(self.plan.prologue)
        part = self.plan.prologue if prologue else self.plan.steps
        return [
            plain
            for number, step in enumerate(part, first)
            for plain in plain_steps((step,), self.picks.get(number, 0))
        ]

    def loaded(self, number: int) -> LoadedKernel:
        kernel = self._loaded[number]
        if kernel is None:
            raise KeyError(number)
        return kernel


def _kept_in_arena(plan: LaunchPlan, *, reads: bool) -> list[bool]:
    """Which buffers get guarded memory of ours: all but ATen results that no kernel writes into, or `reads` either."""
    written: set[int] = set()
    for step in [*plan.prologue, *plan.steps]:
        parts = [part for variant in step.variants for part in variant] if isinstance(step, Tune) else [step]
        for part in parts:
            if isinstance(part, Launch):
                seen = access(part, plan.kernels)
                written |= seen.writes.keys() | (set(seen.reads) if reads else set())
    return [buffer.role != "aten" or number in written for number, buffer in enumerate(plan.buffers)]


class Placed(Walk):
    """A plan's buffers in memory. Runs can be repeated on it; what they leave stays."""

    def __init__(
        self, replay: Replay, given: Given, poison: int, shift: int = 0, guarded: bool = False
    ) -> None:
        super().__init__(replay.plan, replay.device)
        self.replay = replay
        self._kept = kept = replay._used if guarded else replay._written
        sizes = [buffer.nbytes if kept[n] else None for n, buffer in enumerate(self.plan.buffers)]
        self.arena = Arena(sizes, replay.device, poison, shift)
        self._storages: dict[int, Any] = {}
        self._views: dict[TensorRef, torch.Tensor] = {}
        self._prepared: dict[int, PreparedLaunch] = {}
        self.scratch: list[torch.Tensor] = []
        self.fill(given)

    def fill(self, given: Given) -> None:
        """Put inputs, state and constants where the plan has them. Raises `MaterialsDifferError`."""
        fill(self.plan, given, self.tensor, self.arena.bytes_of)

    def reset(self, given: Given, poison: int) -> None:
        """As fresh memory, with another poison."""
        self.arena.repoison(poison)
        self.fill(given)

    def room(self) -> dict[str, int]:
        """Bytes of the plan's buffers, and of the guard zones around those that lie in memory of ours."""
        return {"buffer_bytes": sum(buffer.nbytes for buffer in self.plan.buffers), "guard_bytes": self.arena.guards}

    def tensor(self, ref: TensorRef) -> torch.Tensor:
        """The tensor that a reference means now."""
        if self._kept[ref.buffer]:
            if ref not in self._views:
                self._views[ref] = self.arena.tensor(ref)
            return self._views[ref]
        return strided(self._storages[ref.buffer], ref)

    def run(self, *, launches: bool = True, prologue: bool = True) -> None:
        """Carry out the plan once on torch's current stream. Raises `CudaError` and what ATen raises."""
        born: set[int] = set()
        with torch.no_grad():
            if prologue:
                self.carry_out(self.replay.chosen(prologue=True), born, launches)
            self.carry_out(self.replay.chosen(prologue=False), born, launches)

    def seconds(self, steps: Sequence[AtenCall | Launch], trials: int) -> float:
        """Median time of some steps, after one untimed run."""
        self.carry_out(steps, set())
        if self.replay.device.type != "cuda":
            return sorted(self._host_seconds(steps) for _ in range(trials))[trials // 2]
        events = [(timing_event(), timing_event()) for _ in range(trials)]
        for begin, end in events:
            begin.record()
            self.carry_out(steps, set())
            end.record()
        torch.cuda.synchronize()
        return float(sorted(begin.elapsed_time(end) for begin, end in events)[trials // 2]) * 1e-3

    def _host_seconds(self, steps: Sequence[AtenCall | Launch]) -> float:
        began = time.perf_counter()
        self.carry_out(steps, set())
        return time.perf_counter() - began

    def carry_out(self, steps: Sequence[AtenCall | Launch], born: set[int], launches: bool = True) -> None:
        """Some steps in order. `born` are ATen results that are there already; those that come are added."""
        stream = _current_stream(self.replay.device)
        for step in steps:
            if isinstance(step, AtenCall):
                self.call(step, born)
            elif launches:
                self._launch(step)(stream)

    def bind(self, ref: TensorRef, out: torch.Tensor) -> None:
        """Give a new ATen result to its buffer: as it is, or copied where a kernel writes or it lies otherwise."""
        if self._kept[ref.buffer]:
            self.tensor(ref).copy_(out)
            return
        lies = (tuple(out.shape), tuple(out.stride()), out.storage_offset(), out.untyped_storage().nbytes())
        if lies != (ref.shape, ref.stride, ref.offset, self.plan.buffers[ref.buffer].nbytes):
            nbytes = self.plan.buffers[ref.buffer].nbytes
            memory = torch.empty(nbytes, dtype=torch.uint8, device=self.replay.device).untyped_storage()
            strided(memory, ref).copy_(out)
            self._storages[ref.buffer] = memory
        else:
            self._storages[ref.buffer] = out.untyped_storage()

    def launch(self, launch: Launch) -> None:
        self._launch(launch)(_current_stream(self.replay.device))

    def _launch(self, launch: Launch) -> PreparedLaunch:
        """The launch with its arguments; kept where no address can change."""
        known = self._prepared.get(id(launch))
        if known is not None:
            return known
        loaded = self.replay.loaded(launch.kernel)
        values, scratch = arguments(self.plan, launch, loaded.kernel, self._address, self.replay.device)
        self.scratch += [memory for memory in scratch if memory.numel()]
        prepared = PreparedLaunch(loaded, launch.grid, values)
        if all(self._kept[ref.buffer] for ref in tensors_in(launch)):
            self._prepared[id(launch)] = prepared
        return prepared

    def _address(self, ref: TensorRef) -> int:
        slot = self.arena.slots[ref.buffer]
        if slot is not None:
            return self.arena.memory.data_ptr() + slot.start + ref.byte_offset
        return int(self._storages[ref.buffer].data_ptr()) + ref.byte_offset


def timing_event() -> Any:
    """An event that keeps its time."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _current_stream(device: torch.device) -> int:
    """The handle of torch's current stream, 0 where there is no such device. Asked for every run: makes no objects."""
    if device.type != "cuda":
        return 0
    return int(torch._C._cuda_getCurrentRawStream(device.index or 0))
