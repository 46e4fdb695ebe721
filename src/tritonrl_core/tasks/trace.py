"""The operators that a reference runs, traced on fake tensors: shapes and dtypes, no data, so full sizes cost nothing.

One record of ATen calls in the order they run, for whoever compares computations (`graph`) or counts work (`facts`).
Writes through a view are recorded as the view's new value; the tensor it looks into keeps its old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import flop_registry

from tritonrl_core.bench.aten.modes import DispatchMode
from tritonrl_core.bench.references.ambient import own_default_dtype, seeded
from tritonrl_core.bench.references.reference import Reference, blame, flat_outputs, map_tensors
from tritonrl_core.types import Task

REMEMBERED = 2000
"""How many operators on fake tensors torch may remember before it forgets all (a few KiB each)."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor at one moment: its number in the trace, shape, dtype and size in bytes."""

    number: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    nbytes: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One ATen call. `operands` are values, yes-or-no arguments and words, in order; numbers are left out.

    `flops` counts multiplications and additions of matrix products and convolutions, 0 elsewhere. `free` calls move no
    data: they allocate, or look at a tensor in another way.
    """

    name: str
    operands: tuple[Value | bool | str, ...]
    results: tuple[Value, ...]
    flops: int
    free: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """What a reference does: operations in order; `inputs`, `state` and `outputs` are the tensors at its borders."""

    operations: tuple[Operation, ...]
    inputs: tuple[Value, ...]
    state: tuple[Value, ...]
    outputs: tuple[Value, ...]


def trace(task: Task, *, decompose: bool = False) -> Trace:
    """Run the reference's forward on fake tensors. Raises `TaskError` where it does not run so.

    With `decompose`, composite operators are written out in core ATen (SiLU becomes x times sigmoid of x).
    """
    with fake_reference(task) as (model, inputs), torch.no_grad():
        recorder = _Recorder(_decompositions() if decompose else {})
        given = [value for tensor in _tensors(inputs) if (value := recorder.value(tensor))]
        state = [recorder.value(tensor) for tensor in (*model.parameters(), *model.buffers())]
        with recorder, blame(task, "forward"):
            outputs = flat_outputs(model(*inputs), task)
        results = tuple(recorder.value(tensor) for tensor in outputs)
    return Trace(tuple(recorder.operations), tuple(given), tuple(state), results)


def mutated_buffers(task: Task) -> tuple[str, ...]:
    """Names of the buffers that the reference's own forward writes to. Raises `TaskError`."""
    with fake_reference(task) as (model, inputs), torch.no_grad():
        recorder = _Recorder({})
        before = {name: (recorder.value(buffer), buffer._version) for name, buffer in model.named_buffers()}
        with recorder, blame(task, "forward"):
            model(*inputs)
        # Batch normalisation in training writes its running statistics without telling torch's version counter.
        training = [operation for operation in recorder.operations if _updates_statistics(operation)]
        silent = {value for operation in training for value in operation.operands}
        return tuple(
            name
            for name, buffer in model.named_buffers()
            if name not in before or buffer._version != before[name][1] or before[name][0] in silent
        )


def _updates_statistics(operation: Operation) -> bool:
    return "batch_norm" in operation.name and next((x for x in operation.operands if isinstance(x, bool)), False)


@contextmanager
def fake_reference(task: Task) -> Iterator[tuple[nn.Module, list[Any]]]:
    """The reference's model and inputs as fake tensors, in the task's mode."""
    reference = Reference(task)
    cpu = torch.device("cpu")
    if len(FakeTensorMode.cache) > REMEMBERED:  # torch keeps every operator and shape that it ever saw
        FakeTensorMode.cache_clear()
    with seeded(0, cpu), own_default_dtype(), FakeTensorMode(allow_non_fake_inputs=True):
        with _NoInitialisation():
            model, _, inputs = reference.build({}, cpu)
        yield model, inputs


class _NoInitialisation(TorchFunctionMode):
    """Leaves out `torch.nn.init`: fake weights have no values to draw, and it is most of what building layers takes."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


class _Recorder(DispatchMode):
    """Notes every ATen call that runs inside."""

    def __init__(self, decompositions: Mapping[Any, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self._decompositions = decompositions
        self._values: dict[int, Value] = {}
        self._alive: list[Tensor] = []

    def value(self, tensor: Tensor, *, new: bool = False) -> Value:
        """The value that a tensor holds now; with `new`, it was just written."""
        if new or id(tensor) not in self._values:
            size = tensor.numel() * tensor.element_size()
            self._values[id(tensor)] = Value(len(self._alive), tuple(tensor.shape), tensor.dtype, size)
            self._alive.append(tensor)  # an id is only unique among the living
        return self._values[id(tensor)]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._decompositions and func.namespace == "aten":
            with self:  # what a decomposition calls may be composite itself
                result = self._decompositions.get(func, func.decompose)(*args, **kwargs)
            if result is not NotImplemented:
                return result
        operands = tuple(self._operands([*args, *(value for _, value in sorted(kwargs.items()))]))
        result = func(*args, **kwargs)
        results = tuple(self.value(tensor, new=True) for tensor in _tensors(result))
        count = flop_registry.get(func._overloadpacket)
        flops = int(count(*args, **kwargs, out_val=result)) if count else 0
        name = func._overloadpacket.__name__.rstrip("_")
        self.operations.append(Operation(name, operands, results, flops, not results or _is_free(func)))
        return result

    def _operands(self, arguments: list[Any]) -> Iterator[Value | bool | str]:
        for argument in arguments:
            if isinstance(argument, Tensor):
                yield self.value(argument)
            elif isinstance(argument, list | tuple):
                yield from self._operands(list(argument))
            elif isinstance(argument, bool | str):
                yield argument


def _is_free(func: Any) -> bool:
    name = func._schema.name.rpartition("::")[2]
    return bool(func.is_view) or name in ("detach", "alias", "lift_fresh") or name.startswith(("empty", "new_empty"))


@cache
def _decompositions() -> dict[Any, Any]:
    from torch._decomp import core_aten_decompositions

    table: Mapping[Any, Any] = core_aten_decompositions()
    return dict(table.items())


def _tensors(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_tensors(value, found.append)
    return found
