"""What PyTorch is asked to do while a candidate is recorded: every ATen call, written into the trace.

It sees calls below autograd and above the fake tensors, keeps values up to date where they are known, and answers where
a program asks for one. It judges nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.aten.modes import DispatchMode
from tritonrl_core.bench.record.shadows import fake_tensors
from tritonrl_core.bench.record.trace import Trace, ValueNeededError


class Recorder(DispatchMode):
    """Sees every ATen call below autograd and above the fake tensors, and writes the ones that do something."""

    def __init__(self, trace: Trace, mode: FakeTensorMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = trace
        self.mode = mode

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = f"{func._schema.name.replace('::', '.')}.{func._overloadname}"
        if name == "aten._pin_memory.default":
            return args[0]
        lifted = name.startswith("aten.lift_fresh")
        if not lifted:
            args, kwargs = _mapped(self._faked, args), _mapped(self._faked, kwargs)
        if torch.device(kwargs.get("device") or "cpu").type == "cuda":
            # Fake tensors carry small constants along and would compute with them, on a device that is not there.
            _mapped(_forget_value, (args, kwargs))
        try:
            out = func(*args, **kwargs)
        except DataDependentOutputException:
            return self._answer(args[0])
        except DynamicOutputShapeException:
            out = self._shaped_by_values(name, func, args, kwargs)
        if lifted and isinstance(out, torch.Tensor):
            self._constant(out, args[0])
        elif not name.startswith("prim."):
            self._write(name, func, args, kwargs, list(out) if isinstance(out, tuple | list) else [out])
        return out

    def _answer(self, tensor: torch.Tensor) -> Any:
        """The value that the program asks for, where it is known. That it asked is noted with its line."""
        value = self.trace.shadows.value(tensor, self.trace.storage(tensor).number)
        if value is None:
            raise ValueNeededError("a value of a tensor is needed to go on")
        if self.trace.storage(tensor).role != "constant":
            self.trace.on_note("readback", repr(value))
        return value

    def _shaped_by_values(self, name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of a call whose shape depends on values, where these are known."""
        real = self.trace.shadows.call(func, args, kwargs, self._numbers(args, kwargs))
        if real is None:
            raise ValueNeededError(f"the shape of {name}'s result depends on values")
        device = args[0].device
        self.trace.on_note("readback", f"the shape of {name}'s result")
        shapes = [(tuple(part.shape), part.dtype) for part in ([real] if isinstance(real, torch.Tensor) else real)]
        made = [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in shapes]
        return made[0] if isinstance(real, torch.Tensor) else made

    def _write(self, name: str, func: Any, args: Any, kwargs: dict[str, Any], outputs: list[Any]) -> None:
        new = [out for out in outputs if isinstance(out, torch.Tensor) and not self.trace.knows(out)]
        mutable = func._schema.is_mutable or "batch_norm" in name
        if not new and not mutable:
            return
        kind = operators.kind(name)
        for out in new:
            self.trace.storage(out, "alloc" if kind == "allocation" else "aten")
        if kind != "allocation":
            self.trace.on_aten(name, args, kwargs, outputs)
            self._follow(func, args, kwargs, outputs, new)

    def _follow(self, func: Any, args: Any, kwargs: dict[str, Any], outputs: list[Any], new: list[Any]) -> None:
        """Keep values up to date: carry the call out on them, or forget what it may have written."""
        shadows, numbers = self.trace.shadows, self._numbers(args, kwargs)
        small = all(int(out.untyped_storage().nbytes()) <= shadows.largest for out in new)
        real = shadows.call(func, args, kwargs, numbers) if small else None
        if real is None:
            if func._schema.is_mutable:
                shadows.forget(numbers.values())
            return
        results = list(real) if isinstance(real, tuple | list) else [real]
        for fake, value in zip(outputs, results, strict=False):
            if isinstance(fake, torch.Tensor) and isinstance(value, torch.Tensor):
                shadows.take(fake, self.trace.storage(fake).number, value)

    def _numbers(self, *values: Any) -> dict[int, int]:
        return {id(tensor): self.trace.storage(tensor).number for tensor in fake_tensors(*values)}

    def _faked(self, value: Any) -> Any:
        """Tensors with values, made where no mode was active, become fake ones whose content is a constant."""
        if not isinstance(value, torch.Tensor) or isinstance(value, FakeTensor):
            return value
        fake = self.mode.fake_tensor_converter.from_real_tensor(self.mode, value)
        self._constant(fake, value)
        return fake

    def _constant(self, fake: torch.Tensor, real: torch.Tensor) -> None:
        if self.trace.knows(fake) or isinstance(real, FakeTensor):
            return
        data = _bytes(real)
        storage = self.trace.storage(fake, "constant", data)
        if len(data) == storage.nbytes:
            self.trace.shadows.set(storage.number, data)


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The value with every leaf of its lists, tuples and dicts replaced. An operator's arguments hold nothing else."""
    if isinstance(value, list | tuple):
        if not any(isinstance(part, torch.Tensor | list | tuple | dict) for part in value):
            return value
        return type(value)(_mapped(function, part) for part in value)
    if isinstance(value, dict):
        return {key: _mapped(function, part) for key, part in value.items()}
    return function(value)


def _forget_value(value: Any) -> Any:
    if isinstance(value, FakeTensor):
        value.constant = None
    return value


def _bytes(tensor: torch.Tensor) -> bytes:
    """The content of a real CPU tensor's storage; what is too large for any plan is cut, and so refused there."""
    raw = tensor.untyped_storage()
    return ctypes.string_at(raw.data_ptr(), min(int(raw.nbytes()), 1 << 20)) if raw.nbytes() else b""
