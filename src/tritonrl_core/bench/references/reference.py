"""The trusted reference of a task: execute its source, make the tensors of an input case, run it.

Only references come here, never candidates: this code has the inputs, the parameters and the expected outputs. It does
not compare anything (see `bench.tolerance`) and does not time anything.
"""

from __future__ import annotations

import copy
import linecache
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn

from tritonrl_core.bench.references.ambient import DoubleFactories, ieee, own_default_dtype, placed, seeded
from tritonrl_core.bench.references.constants import rebind
from tritonrl_core.bench.references.values import (
    FAR_OUT,
    is_restricted,
    lay_out,
    randomise_state,
    redistribute,
    shift_for,
)
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.syntax import compile_tree, parse
from tritonrl_core.types import InputCase, Task

REQUIRED: Mapping[str, str] = {
    "Model": "Define `class Model(nn.Module)` with the computation in `forward`.",
    "get_inputs": "Define `def get_inputs():` returning the list of arguments of `forward`.",
    "get_init_inputs": "Define `def get_init_inputs():` returning the list of arguments of `Model(...)`, or [].",
}
"""What a file in KernelBench form must define, and the remedy where it does not."""


@dataclass
class Materials:
    """The tensors of one input case, on one device.

    `inputs` are the arguments of `forward` and `init_inputs` those of `Model(...)`: tensors, scalars, or lists of such.
    `model` is the reference with random parameters and buffers, in the task's mode; `state` its `state_dict`, no copy.
    """

    task: Task
    case: InputCase
    device: torch.device
    init_inputs: list[Any]
    inputs: list[Any]
    model: nn.Module
    fp64_fallback: str = field(default="", init=False)
    """Why the last `expected("fp64")` had to run in the working dtype; "" where it did not."""

    @property
    def state(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def expected(self, precision: str = "native") -> list[Tensor]:
        """The reference's outputs as a flat list of tensors; inputs and state stay as they are.

        `native` runs in the working dtype without TF32, `fp64` in double precision. Where an operator has no
        double-precision form the working dtype is used instead and `fp64_fallback` says why. Raises `TaskError`.
        """
        if precision == "native":
            return self._run(copy.deepcopy(self.model), [map_tensors(value, torch.clone) for value in self.inputs])
        if precision != "fp64":
            raise ValueError(f"precision is 'native' or 'fp64', not {precision!r}")
        self.fp64_fallback = ""
        try:
            double = copy.deepcopy(self.model).to(torch.float64)
            return self._run(double, [map_tensors(value, _double) for value in self.inputs], DoubleFactories())
        except TaskError as error:
            # The reference fixed a dtype of its own, or an operator has no such kernel: the native run decides which
            # of the two it was, by raising as well where the reference is broken.
            outputs = self.expected("native")
            self.fp64_fallback = error.message
            return outputs

    def nearby(self, units: float = 4.0, pairs: int = 2) -> list[list[Tensor]]:
        """Outputs in double precision for inputs and parameters off by `units` in the last place of their own dtype.

        Each is off up or down at random, and in a pair's second run the other way. What differs between these runs no
        kernel in the working dtype can be held to. [] where the reference has no double-precision form.
        """
        found = []
        for pair in range(pairs):
            for units_now in (units, -units):
                generator = torch.Generator(self.device).manual_seed(self.case.seed + pair)
                model = copy.deepcopy(self.model)
                state = {name: _off(value, units_now, generator) for name, value in model.state_dict().items()}
                model.to(torch.float64).load_state_dict(state)
                inputs = [map_tensors(value, lambda t: _off(t, units_now, generator)) for value in self.inputs]  # noqa: B023
                try:
                    found.append(self._run(model, inputs, DoubleFactories()))
                except TaskError:
                    return []
        return found

    def _run(
        self, model: nn.Module, inputs: list[Any], mode: AbstractContextManager[Any] | None = None
    ) -> list[Tensor]:
        with seeded(self.case.seed, self.device), ieee(self.device), own_default_dtype(), torch.no_grad():
            with mode or nullcontext(), blame(self.task, "forward"):
                outputs = model(*inputs)
            return [tensor.detach() for tensor in flat_outputs(outputs, self.task)]


class Reference:
    """A task's reference, compiled once and executed anew for every case. Raises `TaskError` naming file and line."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._restricted, self._shift = is_restricted(task.source), shift_for(task.source)
        cpu = torch.device("cpu")
        with seeded(0, cpu), own_default_dtype():
            self._execute({}, cpu)

    def materialise(self, case: InputCase, device: str | torch.device = "cpu") -> Materials:
        """Make a case's inputs and the model on `device`: the same for the same case on the same kind of device.

        The global random state is as before afterwards. Raises `TaskError` where the reference does not run.
        """
        place = torch.device(device)
        with seeded(case.seed, place), own_default_dtype():
            model, init_inputs, inputs = self.build(case.dims, place)
            model = self._prepare(model, case, place)
            inputs = map_tensors(inputs, self._dresser(case, place))
            if place.type != "meta" and not any(_has_floats(value) for value in inputs):
                self._dress_tables(model, case)
        return Materials(self.task, case, place, init_inputs, inputs, model)

    def build(self, dims: Mapping[str, int], device: torch.device) -> tuple[nn.Module, list[Any], list[Any]]:
        """Model, arguments of `Model(...)` and arguments of `forward`, as the source itself makes them.

        Neither seeded nor made random: for who looks at shapes and operators only. Raises `TaskError`.
        """
        namespace = self._execute(dims, device)
        with torch.no_grad(), placed(device):
            with blame(self.task, "get_init_inputs"):
                init_inputs = list(namespace["get_init_inputs"]())
            with torch.enable_grad(), blame(self.task, "Model(...)"):
                model = namespace["Model"](*init_inputs)
            with blame(self.task, "get_inputs"):
                inputs = list(namespace["get_inputs"]())
        if not isinstance(model, nn.Module):
            raise TaskError(f"{where(self.task)}: `Model` is not a torch.nn.Module", remedy=REQUIRED["Model"])
        if self.task.mode != "as_is":
            model.train(self.task.mode == "train")
        return model, init_inputs, inputs

    def _execute(self, dims: Mapping[str, int], device: torch.device) -> dict[str, Any]:
        filename = _filename(self.task)
        with blame(self.task, "module"):
            code, missing = _compiled(self.task.source, filename, tuple(sorted(dims.items())))
        if missing:
            raise TaskError(
                f"{where(self.task)}: no integer constant {', '.join(missing)} at module level",
                remedy="`vary` can only name constants that the source assigns as `NAME = 123`.",
            )
        namespace: dict[str, Any] = {"__name__": "reference", "__file__": filename}
        with placed(device), blame(self.task, "module"):
            exec(code, namespace)
        for name, remedy in REQUIRED.items():
            if not callable(namespace.get(name)):
                raise TaskError(f"{where(self.task)}: does not define `{name}`", remedy=remedy)
        return namespace

    def _prepare(self, model: nn.Module, case: InputCase, device: torch.device) -> nn.Module:
        if device.type != "meta":  # there are only shapes
            randomise_state(model)
        model = model.to(device)
        return model if case.dtype is None else model.to(_float_dtype(case.dtype))

    def _dress_tables(self, model: nn.Module, case: InputCase) -> None:
        """Where no input is floating, what is looked up takes the case's values: all parameters that have rows.

        As with inputs, only the first becomes large or shifted.
        """
        tables = [table for table in model.parameters() if table.dim() > 1 and table.is_floating_point()]
        with torch.no_grad():
            for table in tables[:1] if case.distribution in FAR_OUT else tables:
                table.copy_(redistribute(table, case.distribution, restricted=self._restricted, shift=self._shift))

    def _dresser(self, case: InputCase, device: torch.device) -> Callable[[Tensor], Tensor]:
        """What makes one input after the other as the case wants it. Integers keep the range they were drawn from.

        Only the first floating input becomes large or shifted: a product of two such is so ill-conditioned, behind an
        exponential above all, that a right kernel differs from the reference.
        """
        floating = 0

        def dress(tensor: Tensor) -> Tensor:
            nonlocal floating
            tensor = tensor.detach().to(device)
            if not tensor.is_floating_point():
                return tensor
            if case.dtype is not None:
                tensor = tensor.to(_float_dtype(case.dtype))
            floating += 1
            distribution = "normal" if case.distribution in FAR_OUT and floating > 1 else case.distribution
            tensor = redistribute(tensor, distribution, restricted=self._restricted, shift=self._shift)
            return lay_out(tensor, case.layout)

        return dress


def where(task: Task, line: int | None = None) -> str:
    """How messages name a reference: its file, or its id, and the line where there is one."""
    name = task.origin if task.origin.endswith((".py", ".jsonl")) else f"reference of task {task.id}"
    return name if line is None else f"{name}, line {line}"


@contextmanager
def blame(task: Task, part: str) -> Iterator[None]:
    """The boundary around a reference's own code: whatever it raises becomes a `TaskError` with its line.

    Memory that ran out is the machine's fault and becomes `InfraError`.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise InfraError(
            f"{where(task)}: out of memory in {part}", remedy="Use a smaller size or a device with more memory."
        ) from error
    except SyntaxError as error:
        raise TaskError(
            f"{where(task, error.lineno)}: {error.msg}: {(error.text or '').strip()}",
            remedy="Correct the reference; it must be Python in KernelBench form.",
        ) from error
    except (Exception, SystemExit) as error:  # a user's file may raise anything, and must be named for it
        raise TaskError(_story(task, part, error), remedy="Correct the reference; it must run as it stands.") from error


def _story(task: Task, part: str, error: BaseException) -> str:
    name, source = _filename(task), task.source
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    finally:
        del linecache.cache[name]  # thousands of generated tasks may come by
    cause = (str(error).strip() or repr(error)).splitlines()[0]
    text = f"{where(task, lines[-1].lineno if lines else None)}: {part} raised {type(error).__name__}: {cause}"
    return f"{text} at `{lines[-1].line}`" if lines and lines[-1].line else text


def _filename(task: Task) -> str:
    return task.origin if task.origin.endswith(".py") else f"<reference {task.id}>"


@lru_cache(maxsize=512)
def _compiled(source: str, filename: str, dims: tuple[tuple[str, int], ...]) -> tuple[CodeType, list[str]]:
    tree = parse(source, filename)
    missing = rebind(tree, dict(dims))
    return compile_tree(tree, filename), missing


def _float_dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TaskError(
            f"{name!r} is not a floating dtype of torch", remedy="Use one such as float32, float16 or bfloat16."
        )
    return dtype


def _double(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float64, copy=True) if tensor.is_floating_point() else tensor.clone()


def _off(tensor: Tensor, units: float, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    up = torch.randint(0, 2, tensor.shape, generator=generator, device=tensor.device, dtype=torch.int8)
    return tensor.double() * (1 + units * torch.finfo(tensor.dtype).eps * (2 * up - 1))


def _has_floats(value: Any) -> bool:
    found: list[bool] = []
    map_tensors(value, lambda tensor: found.append(tensor.is_floating_point()))
    return any(found)


def map_tensors(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Apply to the tensors in a value that may be a tensor, a scalar, or lists, tuples and dicts of such."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, list | tuple):
        return type(value)(map_tensors(part, function) for part in value)
    if isinstance(value, dict):
        return {key: map_tensors(part, function) for key, part in value.items()}
    return value


def flat_outputs(value: Any, task: Task) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, bool | int | float):
        return [torch.tensor(value)]
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in flat_outputs(part, task)]
    if isinstance(value, dict):
        return [tensor for part in value.values() for tensor in flat_outputs(part, task)]
    if value is None:
        return []
    raise TaskError(
        f"{where(task)}: forward returned a {type(value).__name__}",
        remedy="Return a tensor, or a tuple, list or dict of tensors.",
    )
