"""A program written for a GPU runs on the CPU, for the interpreter: device names, `torch.cuda` and Triton's driver.

Tensors live on the CPU and say that they are on `cuda:0`. That a candidate left a tensor on the wrong device therefore
does not show here, and a verdict says so.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tritonrl_core.bench.device_stand_in import DEVICE, DeviceStandIn
from tritonrl_core.bench.targets import GpuProperties

CPU = torch.device("cpu")
_IS_CUDA = vars(torch._C.TensorBase)["is_cuda"].__get__
_DEVICE = vars(torch._C.TensorBase)["device"].__get__
_STAY = (Tensor.cuda, Tensor.cpu, Tensor.pin_memory)


class OnCpu(TorchFunctionMode):
    """While active, every way of naming a CUDA device means the CPU, and every CPU tensor answers as a CUDA tensor."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func == _IS_CUDA:
            return True
        if func == _DEVICE:
            device = func(*args)
            return DEVICE if device == CPU else device
        if func in _STAY:
            return args[0]
        if func in (Tensor.get_device, Tensor.record_stream):
            return 0 if func is Tensor.get_device else None
        if kwargs:
            kwargs = {key: _here(value, key == "device") for key, value in kwargs.items() if key != "pin_memory"}
        # Only `to` takes a device by position as a string or a number; `torch.device` objects may stand anywhere.
        moves = func is Tensor.to
        return func(*[_here(value, moves and place == 1) for place, value in enumerate(args)], **(kwargs or {}))


def _here(value: Any, named: bool) -> Any:
    if isinstance(value, torch.device):
        return CPU if value.type == "cuda" else value
    if named and isinstance(value, str) and value.split(":")[0] == "cuda":
        return CPU
    if named and isinstance(value, int) and not isinstance(value, bool):
        return CPU
    return value


def install(gpu: GpuProperties) -> None:
    """Answer for the target GPU in `torch.cuda` and as Triton's driver, in this process, for good."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime.driver import driver

    DeviceStandIn(gpu).install()
    target = GPUTarget(gpu.backend, gpu.arch, gpu.warp_size)
    driver.set_active(_driver(gpu, target))


def _driver(gpu: GpuProperties, target: Any) -> SimpleNamespace:
    properties = {
        "max_shared_mem": gpu.shared_per_block,
        "multiprocessor_count": gpu.multiprocessors,
        "max_num_regs": gpu.registers_per_multiprocessor,
        "warpSize": gpu.warp_size,
        "sm_clock_rate": gpu.sm_clock_khz,
        "mem_clock_rate": 0,
        "mem_bus_width": 0,
    }
    return SimpleNamespace(
        utils=SimpleNamespace(get_device_properties=lambda device=0: properties),
        get_current_target=lambda: target,
        get_current_device=lambda: 0,
        get_current_stream=lambda device=0: 0,
        set_current_device=lambda device: None,
        get_active_torch_device=lambda: DEVICE,
        get_device_interface=lambda: torch.cuda,
        get_benchmarker=lambda: lambda call, quantiles=None, **_: [1.0] * len(quantiles or [0]),
        get_empty_cache_for_benchmark=lambda: torch.empty(0),
        clear_cache=lambda cache: None,
        is_active=lambda: True,
    )
