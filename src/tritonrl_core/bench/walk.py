"""Walking a launch plan, on whatever device: where a case's tensors go, and the ATen calls between the launches.

What the GPU's replayer and the CPU's have in common. How memory is had, and what a launch is, they decide themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.plan.schema import AtenCall, Launch, LaunchPlan, TensorRef, Word, apart
from tritonrl_core.bench.references.prepared import named_inputs
from tritonrl_core.bench.references.reference import Materials

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError)
"""What PyTorch raises for arguments that an operator does not take, and where it has no such form."""


class CallError(RuntimeError):
    """An ATen call of a plan that PyTorch refuses, in PyTorch's words; `where` is the call's line and name."""

    def __init__(self, call: AtenCall, error: Exception) -> None:
        super().__init__(str(error))
        self.where = f"line {call.line}: {call.name}"


class MaterialsDifferError(Exception):
    """The inputs made here do not lie as the plan was recorded for: our fault."""


@dataclass(frozen=True)
class Given:
    """What a case brings: input tensors in order, constructor tensors, and the reference's state by name."""

    inputs: Sequence[torch.Tensor]
    init_inputs: Sequence[torch.Tensor]
    state: Mapping[str, torch.Tensor]


def given_by(materials: Materials) -> Given:
    """What a case brings, in the order in which a recording counts it."""
    inputs, init_inputs = (list(named_inputs(part).values()) for part in (materials.inputs, materials.init_inputs))
    return Given(inputs, init_inputs, materials.state)


def fill(
    plan: LaunchPlan, given: Given, tensor: Callable[[TensorRef], torch.Tensor], raw: Callable[[int], torch.Tensor]
) -> None:
    """Put inputs, state and constants where the plan has them; `raw` gives a buffer's bytes.

    Raises `MaterialsDifferError`.
    """
    for refs, tensors, what in ((plan.inputs, given.inputs, "input"),
                                (plan.init_inputs, given.init_inputs, "constructor argument")):  # fmt: skip
        if len(refs) != len(tensors) and refs:
            raise MaterialsDifferError(f"{len(tensors)} {what}s made, {len(refs)} recorded")
        for number, (ref, one) in enumerate(zip(refs, tensors, strict=False)):
            _copy_whole(ref, one, f"{what} {number}", raw(ref.buffer))
    for name, ref in plan.parameters.items():
        if name not in given.state or tuple(given.state[name].shape) != ref.shape:
            raise MaterialsDifferError(f"parameter {name} is not what was recorded")
        tensor(ref).copy_(given.state[name])
    for number, buffer in enumerate(plan.buffers):
        if buffer.role == "constant" and buffer.nbytes:
            raw(number).copy_(torch.frombuffer(bytearray(buffer.data), dtype=torch.uint8))


def _copy_whole(ref: TensorRef, tensor: torch.Tensor, what: str, target: torch.Tensor) -> None:
    same = (tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset(), str(tensor.dtype))
    if same != (ref.shape, ref.stride, ref.offset, f"torch.{ref.dtype}"):
        raise MaterialsDifferError(f"{what} is {same}, recorded was {ref}")
    target.copy_(storage_bytes_of(tensor)[: target.numel()])


def storage_bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's whole storage as bytes; no copy."""
    raw = tensor.detach().untyped_storage()
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(raw, 0, (raw.nbytes(),), (1,))


class Walk(ABC):
    """Carries out a plan's steps in order."""

    def __init__(self, plan: LaunchPlan, device: torch.device) -> None:
        self.plan = plan
        self.device = device

    @abstractmethod
    def tensor(self, ref: TensorRef) -> torch.Tensor:
        """The tensor that a reference means now."""

    @abstractmethod
    def bind(self, ref: TensorRef, out: torch.Tensor) -> None:
        """Give a new ATen result to its buffer."""

    @abstractmethod
    def launch(self, launch: Launch) -> None:
        """Carry out a launch."""

    def steps(self, steps: Sequence[AtenCall | Launch], born: set[int], *, launches: bool = True) -> None:
        """Carry out steps; `born` are the buffers of ATen results that are there. Raises what ATen raises."""
        for step in steps:
            if isinstance(step, AtenCall):
                self.call(step, born)
            elif launches:
                self.launch(step)

    def call(self, call: AtenCall, born: set[int]) -> None:
        """Carry out an ATen call and keep its new results. Raises `CallError` for arguments that PyTorch refuses."""
        args = [self.value(arg) for arg in call.args]
        words = {key: self.value(arg) for key, arg in call.kwargs.items()}
        try:
            result = operators.operator(call.name)(*args, **words)
        except torch.OutOfMemoryError as error:
            if self._says_less(call, args, words):
                raise CallError(call, RuntimeError("it makes more than the launch plan says")) from error
            raise
        except REFUSALS as error:
            if "CUDA error" in str(error):
                raise
            raise CallError(call, error) from error
        results = list(result) if isinstance(result, list | tuple) else [result]
        new: list[tuple[TensorRef, Any]] = [
            (ref, results[place] if place < len(results) else None)
            for place, ref in enumerate(call.outputs)
            if ref is not None and self.plan.buffers[ref.buffer].role == "aten" and ref.buffer not in born
        ]
        for ref, out in new:
            if not _is_meant(ref, out):
                raise CallError(call, RuntimeError("its results are not those that the launch plan says"))
            born.add(ref.buffer)
            self.bind(ref, out)

    def _says_less(self, call: AtenCall, args: list[Any], words: dict[str, Any]) -> bool:
        """Whether a call's results are larger than the buffers that the plan has for them, as their shapes tell."""

        def shape_only(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
            if isinstance(value, list):
                return [shape_only(part) for part in value]
            return torch.device("meta") if isinstance(value, torch.device) else value

        try:
            made = operators.operator(call.name)(
                *map(shape_only, args), **{word: shape_only(part) for word, part in words.items()}
            )
        except REFUSALS:
            return False  # no form without memory: nobody can tell
        results = made if isinstance(made, list | tuple) else [made]
        said = sum(self.plan.buffers[ref.buffer].nbytes for ref in call.outputs if ref is not None)
        return sum(int(out.untyped_storage().nbytes()) for out in results if isinstance(out, torch.Tensor)) > said

    def value(self, value: Any) -> Any:
        """An argument of an ATen call as torch takes it."""
        if isinstance(value, TensorRef):
            return self.tensor(value)
        if isinstance(value, Word):
            return self.device if value.kind == "device" else getattr(torch, value.name)
        if isinstance(value, tuple):
            return [self.value(part) for part in value]
        return value

    def outputs(self) -> list[torch.Tensor]:
        """The outputs, where they lie; a number becomes a tensor."""
        return [self.tensor(out) if isinstance(out, TensorRef) else torch.tensor(out) for out in self.plan.outputs]


def _is_meant(ref: TensorRef, out: Any) -> bool:
    """Whether an ATen result can be what a plan calls it: a tensor of this shape, as it lies or to be copied so."""
    if not isinstance(out, torch.Tensor) or tuple(out.shape) != ref.shape:
        return False
    return out.stride() == ref.stride or apart(ref.shape, ref.stride)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Operators of a plan that draw random numbers draw the same ones each time."""
    # Not torch.manual_seed: it also asks for devices that are not here, and formats a stack trace for each.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
    yield
