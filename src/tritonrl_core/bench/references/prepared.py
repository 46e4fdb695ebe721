"""References of tasks, prepared once for all candidates of a task and case: inputs, parameters, expected outputs.

For the trusted parent. One case is prepared at a time (`ambient.exclusive`); what is prepared already is had at once.
"""

from __future__ import annotations

import copy
import ctypes
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tritonrl_core.bench.outputs.tolerance import underflows
from tritonrl_core.bench.outputs.yardstick import Yardstick, yardstick
from tritonrl_core.bench.references.ambient import exclusive, own_default_dtype, seeded
from tritonrl_core.bench.references.reference import Materials, Reference
from tritonrl_core.bench.timing.eager import EagerWork
from tritonrl_core.bench.timing.estimate import Work
from tritonrl_core.types import InputCase, Task, content_key

CACHE_BYTES = 512 << 20
CACHED_TASKS = 256

SMALL_BYTES = 1 << 20
"""Tensors up to this are compared as bytes: PyTorch gives up the interpreter's lock at each of the seven operations
that it takes, and waits for it anew, which costs far more where many threads judge at once."""

Wanted = tuple[tuple[tuple[int, ...], torch.dtype], ...]


@dataclass
class Prepared:
    """One case of one task, ready to be sent to a worker and compared with. Never changed once made."""

    materials: Materials
    exact: list[Tensor]
    native: list[Tensor]
    _sticks: dict[str, list[Yardstick | None]] = field(default_factory=dict, init=False, repr=False)
    _nearby: list[list[Tensor]] | None = field(default=None, init=False, repr=False)

    def yardsticks(self, precision: str) -> Sequence[Yardstick | None]:
        """What each output may be off by, at one of `verifier.precision`'s values."""
        if precision not in self._sticks:
            tolerance, flushed = self.materials.task.tolerance, underflows(self.materials.case)
            pairs = zip(self.exact, self.native, strict=True)
            self._sticks[precision] = [yardstick(*pair, tolerance, precision, flushed) for pair in pairs]
        return self._sticks[precision]

    def nearby(self) -> Sequence[Sequence[Tensor]]:
        """The outputs for inputs a little off (`Materials.nearby`); of small ones worked out once, because every
        candidate with few wrong elements asks for them, and four runs of the reference take more than all else."""
        if self._nearby is not None:
            return self._nearby
        found = self.materials.nearby()
        if self._is_small:
            self._nearby = found
        return found

    @property
    def _is_small(self) -> bool:
        return sum(exact.nbytes for exact in self.exact) <= SMALL_BYTES

    @property
    def wanted(self) -> Wanted:
        """Shape and dtype of each output."""
        return tuple((tuple(tensor.shape), tensor.dtype) for tensor in self.native)

    @property
    def nbytes(self) -> int:
        """Memory in bytes; each output's yardstick is at most twice its double-precision form, `nearby` four times."""
        inputs = named_inputs(self.materials.inputs).values()
        held = (*inputs, *self.materials.state.values(), *self.native)
        times = 7 if self._is_small else 3
        return sum(tensor.nbytes for tensor in held) + times * sum(exact.nbytes for exact in self.exact)

    @cached_property
    def eager_work(self) -> list[Work]:
        """What the reference does when PyTorch runs it operator by operator."""
        watch = EagerWork()
        self._forward(watch)
        return watch.work

    @cached_property
    def after(self) -> Mapping[str, Tensor]:
        """Inputs and parameters that the reference itself changes, by owner, with what it leaves in them."""
        inputs, state = self._forward(None)
        now = {**named_inputs(inputs), **_named_state(state)}
        before = {**named_inputs(self.materials.inputs), **_named_state(self.materials.state)}
        return {name: value for name, value in now.items() if not same_bits(value, before[name])}

    def _forward(self, mode: Any) -> tuple[list[Any], dict[str, Tensor]]:
        """Run the reference on copies; gives the copies of inputs and state as it left them."""
        materials = self.materials
        with seeded(materials.case.seed, materials.device), own_default_dtype(), torch.no_grad():
            model, inputs = copy.deepcopy((materials.model, materials.inputs))
            with mode or nullcontext():
                model(*inputs)
            return inputs, dict(model.state_dict())


class References:
    """Prepared cases by content, up to a number of bytes; the least recently used go first. Thread-safe."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, Reference] = OrderedDict()
        self._cases: OrderedDict[str, Prepared] = OrderedDict()

    def prepare(self, task: Task, case: InputCase) -> Prepared:
        """Inputs and expected outputs of a case. Raises `TaskError` where the reference does not run on it."""
        key = content_key(task.key, case.signature, case.distribution, case.seed)
        found = self._known(key)
        if found is None:
            with exclusive:
                found = self._known(key)  # another thread may have been here meanwhile
                if found is None:
                    found = self._make(task, case)
                    self._keep(key, found)
        return found

    def _known(self, key: str) -> Prepared | None:
        with self._lock:
            if key in self._cases:
                self._cases.move_to_end(key)
            return self._cases.get(key)

    def _keep(self, key: str, prepared: Prepared) -> None:
        with self._lock:
            self._cases[key] = prepared
            self._bytes += prepared.nbytes
            while len(self._cases) > 1 and self._bytes > self._most:
                self._bytes -= self._cases.popitem(last=False)[1].nbytes

    def _make(self, task: Task, case: InputCase) -> Prepared:
        materials = self._reference(task).materialise(case)
        return Prepared(materials, exact=materials.expected("fp64"), native=materials.expected("native"))

    def _reference(self, task: Task) -> Reference:
        if task.key not in self._tasks:
            self._tasks[task.key] = Reference(task)
            if len(self._tasks) > CACHED_TASKS:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(task.key)
        return self._tasks[task.key]


def named_inputs(inputs: list[Any]) -> dict[str, Tensor]:
    """Tensors among the arguments, also inside lists, tuples and dicts, as `input 0`, `input 1[2]`."""
    found: dict[str, Tensor] = {}

    def visit(name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, list | tuple):
            for index, part in enumerate(value):
                visit(f"{name}[{index}]", part)
        elif isinstance(value, dict):
            for key, part in value.items():
                visit(f"{name}[{key!r}]", part)

    for index, value in enumerate(inputs):
        visit(f"input {index}", value)
    return found


def _named_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"parameter {name}": tensor for name, tensor in state.items()}


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same, bit for bit, so that NaN equals itself."""
    if one.is_contiguous() and other.is_contiguous() and one.nbytes == other.nbytes <= SMALL_BYTES:
        return _content(one) == _content(other)
    mine, theirs = (raw_bytes(tensor) for tensor in (one, other))
    return bool(torch.equal(mine, theirs))


def _content(tensor: Tensor) -> bytes:
    """A contiguous tensor's bytes, copied with the interpreter's lock held (see `SMALL_BYTES`)."""
    return ctypes.string_at(tensor.data_ptr(), tensor.nbytes) if tensor.nbytes else b""


def raw_bytes(tensor: Tensor) -> Tensor:
    """The elements' bytes in order. A tensor of one element is contiguous whatever its stride: hence the copy."""
    return tensor.detach().clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)
