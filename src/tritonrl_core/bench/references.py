"""References of tasks, prepared once for all candidates of a task and case: inputs, parameters, expected outputs.

For the trusted parent. The global random state and default dtype are the process's own, so one case is prepared at a
time.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tritonrl_core.bench.estimate import EagerWork, Work
from tritonrl_core.bench.memory import Array, Packer
from tritonrl_core.bench.reference import Materials, Reference
from tritonrl_core.types import InputCase, Task, content_key

CACHE_BYTES = 512 << 20
CACHED_TASKS = 256

Wanted = tuple[tuple[tuple[int, ...], torch.dtype], ...]

_lock = threading.Lock()
"""Held while a reference runs: it draws from global generators."""


@dataclass
class Prepared:
    """One case of one task, ready to be sent to a worker and compared with. Never changed once made."""

    materials: Materials
    exact: list[Tensor]
    native: list[Tensor]
    buffers: list[Array] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    """`init_inputs`, `inputs` and `state`, encoded against `buffers`."""
    owners: list[str] = field(default_factory=list)
    """What each buffer belongs to, for messages: `input 0`, `parameter linear.weight`."""

    @property
    def wanted(self) -> Wanted:
        """Shape and dtype of each output."""
        return tuple((tuple(tensor.shape), tensor.dtype) for tensor in self.native)

    @property
    def nbytes(self) -> int:
        return sum(b.nbytes for b in self.buffers) + sum(t.nbytes for t in (*self.exact, *self.native))

    def shows(self, parameters: Sequence[str]) -> bool:
        """Whether leaving out these parameters would show: none of them is a constant, such as a scale of one."""
        state = self.materials.state
        return all(bool((state[name] != state[name].flatten()[:1]).any()) for name in parameters if name in state)

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
        return {name: value for name, value in now.items() if not _same(value, before[name])}

    def _forward(self, mode: Any) -> tuple[list[Any], dict[str, Tensor]]:
        """Run the reference on copies; gives the copies of inputs and state as it left them."""
        with _lock:
            model, inputs = copy.deepcopy((self.materials.model, self.materials.inputs))
            torch.manual_seed(self.materials.case.seed)
            with torch.no_grad():
                if mode is None:
                    model(*inputs)
                else:
                    with mode:
                        model(*inputs)
            return inputs, dict(model.state_dict())


class References:
    """Prepared cases by content, up to a number of bytes; the least recently used go first. Thread-safe."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most = most_bytes
        self._tasks: OrderedDict[str, Reference] = OrderedDict()
        self._cases: OrderedDict[str, Prepared] = OrderedDict()

    def prepare(self, task: Task, case: InputCase, *, constructed: bool = False) -> Prepared:
        """Inputs and expected outputs of a case. Raises `TaskError` where the reference does not run on it.

        `constructed` leaves the parameters as the constructor makes them under the case's seed, and sends none of them
        to the candidate: KernelBench's way, for candidates in which the reference's parameters find no place.
        """
        key = content_key(task.key, case.signature, case.distribution, case.seed, constructed)
        with _lock:
            found = self._cases.get(key)
            if found is None:
                materials = self._reference(task).materialise(case)
                if constructed:
                    _construct_anew(materials)
                found = self._cases[key] = _prepare(materials, send_state=not constructed)
                while len(self._cases) > 1 and sum(item.nbytes for item in self._cases.values()) > self._most:
                    self._cases.popitem(last=False)
            self._cases.move_to_end(key)
            return found

    def _reference(self, task: Task) -> Reference:
        if task.key not in self._tasks:
            self._tasks[task.key] = Reference(task)
            if len(self._tasks) > CACHED_TASKS:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(task.key)
        return self._tasks[task.key]


def _construct_anew(materials: Materials) -> None:
    """Replace the model with one constructed under the case's seed alone, as the child constructs its own."""
    old = materials.model
    dtypes = {tensor.dtype for tensor in old.parameters() if tensor.is_floating_point()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(materials.case.seed)
        model = type(old)(*copy.deepcopy(materials.init_inputs))
    if len(dtypes) == 1:
        model.to(dtype=dtypes.pop())
    model.train(old.training)
    materials.model = model


def _prepare(materials: Materials, *, send_state: bool) -> Prepared:
    state = materials.state if send_state else {}
    prepared = Prepared(materials, exact=materials.expected("fp64"), native=materials.expected("native"))
    packer = Packer()
    for name, tensor in {**named_inputs(materials.inputs), **_named_state(state)}.items():
        packer.encode(tensor)
        prepared.owners += [name] * (len(packer.buffers) - len(prepared.owners))
    for part in ("init_inputs", "inputs"):
        prepared.values[part] = packer.encode(list(getattr(materials, part)))
    prepared.values["state"] = packer.encode(state)
    prepared.owners += ["constructor argument"] * (len(packer.buffers) - len(prepared.owners))
    prepared.buffers = packer.buffers
    return prepared


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


def _same(one: Tensor, other: Tensor) -> bool:
    """Bit for bit, so that NaN equals itself."""
    mine, theirs = (tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other))
    return bool(torch.equal(mine, theirs))
