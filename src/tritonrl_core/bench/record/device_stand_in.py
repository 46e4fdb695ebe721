"""Stands in for the CUDA device: a program written for a GPU runs unchanged on fake tensors where there is none.

Works with torch's CPU build and with its CUDA build without a visible GPU. Properties are the target's; streams and
events do nothing and are noted; a captured CUDA graph is kept as a list of steps and its replay repeats them. Nothing
is undone: install it in a process that only records. What a kernel or an ATen call does is not its business.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Protocol

import torch
from torch import nn
from torch._subclasses import fake_tensor
from torch.overrides import TorchFunctionMode

from tritonrl_core.bench.record.parameters import MOVED
from tritonrl_core.bench.targets import GpuProperties

DEVICE = torch.device("cuda", 0)
_CUDA_SLOT, _META_SLOT, _SLOTS = 1, 14, 22
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"


class DeviceSink(Protocol):
    """Who is told what a program does to its device."""

    def on_note(self, kind: str, text: str) -> None: ...

    def on_capture_begin(self) -> None: ...

    def on_capture_end(self) -> list[Any]: ...

    def on_graph_replay(self, steps: list[Any]) -> None: ...


class UnsupportedDeviceCallError(Exception):
    """A device function that a recording cannot follow."""


def borrow_device_guard() -> None:
    """Give torch a device guard for CUDA that does nothing.

    A CPU build registers none and then `.contiguous()` fails even on fake tensors; a CUDA build's own would start the
    driver, and with it a thread, in a process that forks. c10's registry of guards is an exported array: CUDA's slot is
    pointed at Meta's guard.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    registry = (ctypes.c_void_p * _SLOTS).in_dll(library, _REGISTRY)
    registry[_CUDA_SLOT] = registry[_META_SLOT]


class DeviceWords(TorchFunctionMode):
    """Makes every way of naming a CUDA device (`"cuda"`, `0`, `.cuda()`) the first one, before torch looks for it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.cuda:
            return args[0].to(DEVICE)
        if func is torch.Tensor.pin_memory:
            return args[0]
        if func is torch.Tensor.to and len(args) > 1 and _names_device(args[1]):
            args = (args[0], _device(args[1]), *args[2:])
        if _names_device(kwargs.get("device")):
            kwargs["device"] = _device(kwargs["device"])
        kwargs.pop("pin_memory", None)
        return func(*args, **kwargs)


def _names_device(value: Any) -> bool:
    return isinstance(value, str | torch.device) or (isinstance(value, int) and not isinstance(value, bool))


def _device(value: Any) -> torch.device:
    device = DEVICE if isinstance(value, int) else torch.device(value)
    if device.type == "cuda" and device.index not in (None, 0):
        raise RuntimeError("CUDA error: invalid device ordinal (there is one device)")
    return DEVICE if device.type == "cuda" else device


class DeviceStandIn:
    """`torch.cuda` for the target. `sink` is told what is worth noting and may be changed at any time."""

    def __init__(self, gpu: GpuProperties, sink: DeviceSink | None = None) -> None:
        self.gpu = gpu
        self.sink = sink

    def note(self, kind: str, text: str) -> None:
        if self.sink is not None:
            self.sink.on_note(kind, text)

    def install(self) -> None:
        """Replace `torch.cuda`'s functions in this process and `Module._apply`, which cannot move fake parameters."""
        # Fake tensors import it later; it lists torch's functions by identity and wants to find the real ones.
        import torch._dynamo.config

        borrow_device_guard()
        # Both believe `is_available` and would begin to use the device.
        fake_tensor.init_gpu_context = lambda device: None  # type: ignore[assignment]
        fake_tensor.FakeTensorMode.avoid_device_init = True  # type: ignore[method-assign, assignment]
        for name, value in {**self._functions(), **self._classes()}.items():
            setattr(torch.cuda, name, value)
        torch._C._cuda_getCurrentRawStream = lambda device: 0
        nn.Module._apply = _apply_by_replacing  # type: ignore[method-assign]

    def properties(self, device: Any = None) -> SimpleNamespace:
        """What `torch.cuda.get_device_properties` answers."""
        major, minor = self.gpu.capability
        return SimpleNamespace(
            name=self.gpu.name, major=major, minor=minor, total_memory=self.gpu.memory_bytes,
            multi_processor_count=self.gpu.multiprocessors, warp_size=self.gpu.warp_size, is_integrated=0,
            max_threads_per_multi_processor=self.gpu.threads_per_multiprocessor, max_threads_per_block=1024,
            regs_per_multiprocessor=self.gpu.registers_per_multiprocessor, L2_cache_size=self.gpu.l2_bytes,
            shared_memory_per_block=48 << 10, shared_memory_per_block_optin=self.gpu.shared_per_block,
            shared_memory_per_multiprocessor=self.gpu.shared_per_multiprocessor, clock_rate=self.gpu.sm_clock_khz,
            gcnArchName="" if self.gpu.backend == "cuda" else self.gpu.target, is_multi_gpu_board=0,
        )  # fmt: skip

    def _functions(self) -> dict[str, Callable[..., Any]]:
        total = self.gpu.memory_bytes
        nothing = (
            "synchronize set_device empty_cache _lazy_init init manual_seed manual_seed_all seed seed_all set_stream "
        )
        nothing += "reset_peak_memory_stats reset_max_memory_allocated ipc_collect set_per_process_memory_fraction"
        zero = "memory_allocated max_memory_allocated memory_reserved max_memory_reserved current_device"
        yes = "is_available is_initialized is_bf16_supported is_tf32_supported"
        return {
            **dict.fromkeys(nothing.split(), lambda *_, **__: None),
            **dict.fromkeys(zero.split(), lambda *_, **__: 0),
            **dict.fromkeys(yes.split(), lambda *_, **__: True),
            "device_count": lambda: 1,
            "get_device_properties": self.properties,
            "get_device_capability": lambda device=None: self.gpu.capability,
            "get_device_name": lambda device=None: self.gpu.name,
            "get_arch_list": lambda: [self.gpu.target],
            "mem_get_info": lambda device=None: (total, total),
            "is_current_stream_capturing": lambda: False,
            "graph_pool_handle": lambda: (0, 0),
            "make_graphed_callables": self._refuse("torch.cuda.make_graphed_callables"),
        }

    def _refuse(self, name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise UnsupportedDeviceCallError(f"{name} cannot be followed by a recording")

        return refuse

    def _classes(self) -> dict[str, Any]:
        """Streams, events and graphs, bound to this object."""
        stand_in = self

        class Stream(_Stream):
            def __init__(self, *_: Any, **__: Any) -> None:
                stand_in.note("stream", "a stream of its own; the replay has one stream")

        class Event(_Event):
            def __init__(self, *_: Any, **__: Any) -> None:
                stand_in.note("event", "an event; nothing waits while recording")

        class CUDAGraph(_Graph):
            def __init__(self, *_: Any, **__: Any) -> None:
                super().__init__(stand_in)

        default = _Stream()
        return {
            "Stream": Stream, "ExternalStream": Stream, "Event": Event, "CUDAGraph": CUDAGraph, "graph": _CaptureGraph,
            "stream": _Scope, "StreamContext": _Scope, "device": _Scope, "device_of": _Scope, "_DeviceGuard": _Scope,
            "current_stream": lambda *_: default, "default_stream": lambda *_: default,
        }  # fmt: skip


class _Scope:
    """A context that changes nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> _Scope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Stream(_Scope):
    cuda_stream = 0
    stream_id = 0
    device = DEVICE

    def wait_stream(self, stream: Any) -> None: ...

    def wait_event(self, event: Any) -> None: ...

    def synchronize(self) -> None: ...

    def record_event(self, event: Any = None) -> Any:
        return event if event is not None else _Event()

    def query(self) -> bool:
        return True


class _Event:
    def record(self, stream: Any = None) -> None: ...

    def wait(self, stream: Any = None) -> None: ...

    def synchronize(self) -> None: ...

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: Any) -> float:
        """Milliseconds: always one, so that whoever compares timings sees no difference."""
        return 1.0


class _Graph:
    """A CUDA graph as the list of steps that were seen between its beginning and its end."""

    def __init__(self, stand_in: DeviceStandIn) -> None:
        self._stand_in = stand_in
        self._steps: list[Any] = []

    def _sink(self) -> DeviceSink:
        if self._stand_in.sink is None:
            raise UnsupportedDeviceCallError("a CUDA graph was used outside a recording")
        return self._stand_in.sink

    def capture_begin(self, *_: Any, **__: Any) -> None:
        self._sink().on_note("graph", "a CUDA graph; its replay is recorded as its launches")
        self._sink().on_capture_begin()

    def capture_end(self) -> None:
        self._steps = self._sink().on_capture_end()

    def replay(self) -> None:
        self._sink().on_graph_replay(self._steps)

    def reset(self) -> None:
        self._steps = []

    def instantiate(self) -> None: ...

    def pool(self) -> tuple[int, int]:
        return (0, 0)

    def enable_debug_mode(self) -> None: ...


class _CaptureGraph(_Scope):
    """`torch.cuda.graph(g)`."""

    def __init__(self, cuda_graph: Any, *_: Any, **__: Any) -> None:
        self._graph = cuda_graph

    def __enter__(self) -> _CaptureGraph:
        self._graph.capture_begin()
        return self

    def __exit__(self, *_: Any) -> None:
        self._graph.capture_end()


def _apply_by_replacing(module: nn.Module, fn: Callable[[Any], Any], recurse: bool = True) -> nn.Module:
    """`Module._apply` that puts new parameters in place of the old ones; shared ones stay shared."""
    done: dict[int, Any] = {}

    def moved(tensor: Any) -> Any:
        if id(tensor) not in done:
            with torch.no_grad():
                new = fn(tensor)
            if isinstance(tensor, nn.Parameter) and new is not tensor:
                new = nn.Parameter(new, requires_grad=tensor.requires_grad)
            if new is not tensor:
                setattr(tensor, MOVED, new)
            done[id(tensor)] = new
        return done[id(tensor)]

    for child in module.modules() if recurse else [module]:
        for table in (child._parameters, child._buffers):
            for name, tensor in list(table.items()):
                if tensor is not None:
                    table[name] = moved(tensor)
    return module


@contextmanager
def fake_cuda(mode: Any) -> Any:
    """Enter a FakeTensorMode so that data written in Python is lifted on the CPU: there is no device to lift it on."""
    before = torch._C._only_lift_cpu_tensors()
    with DeviceWords(), mode:
        torch._C._set_only_lift_cpu_tensors(True)
        try:
            yield mode
        finally:
            torch._C._set_only_lift_cpu_tensors(before)
