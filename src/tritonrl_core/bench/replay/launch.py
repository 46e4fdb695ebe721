"""A launch's arguments as the driver takes them: addresses, numbers, tensor descriptors, scratch memory.

Addresses come from whoever placed the buffers (`replayer`); nothing is launched here.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

import torch

from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.plan.schema import Descriptor, Launch, LaunchPlan, TensorRef
from tritonrl_core.bench.replay import cuda_driver

Address = Callable[[TensorRef], int]

MOST_SCRATCH = 4 << 30
"""Bytes of scratch memory for one launch (tensor descriptors that its programs make); a larger grid is its own mistake.
"""


def arguments(
    plan: LaunchPlan, launch: Launch, built: CompiledKernel, address: Address, device: torch.device
) -> tuple[list[Any], list[torch.Tensor]]:
    """Values in the order of the binary's parameters, and the scratch memory that must live as long as they do.

    Raises `CudaError` where the driver refuses a descriptor, and where so many programs need too much scratch memory.
    """
    values: list[Any] = []
    layouts = list(built.descriptors)
    for param, arg in zip(plan.kernels[launch.kernel].params, launch.args, strict=True):
        if isinstance(arg, TensorRef):
            values.append(ctypes.c_uint64(address(arg)))
        elif isinstance(arg, Descriptor):
            values += _descriptor(plan, arg, layouts.pop(0) if layouts else None, address(arg.base))
        else:
            values.append(scalar(param.type, arg))
    programs = launch.grid[0] * launch.grid[1] * launch.grid[2] * built.num_ctas
    sizes = (built.global_scratch, built.profile_scratch)
    if sum(sizes) * programs > MOST_SCRATCH:
        raise cuda_driver.CudaError(
            cuda_driver.OUT_OF_MEMORY, f"making scratch memory for {programs} programs of {built.name}"
        )
    scratch = [torch.zeros(max(0, size) * programs, dtype=torch.uint8, device=device) for size in sizes]
    return values + [ctypes.c_uint64(memory.data_ptr()) for memory in scratch], scratch


def _descriptor(plan: LaunchPlan, arg: Descriptor, layout: Any, address: int) -> list[Any]:
    """What a host-side descriptor becomes: the encoded map, or address, sizes and strides where taken apart."""
    sizes = [ctypes.c_int32(size) for size in arg.shape]
    strides = [ctypes.c_int64(step) for step in arg.strides]
    if layout is not None:
        nan = arg.padding == "nan"
        encoded = cuda_driver.tensor_map(
            layout, address, arg.shape, arg.strides, nan_padding=nan, tf32=arg.round_f32_to_tf32
        )
        return [encoded, *sizes, *strides]
    wide = [ctypes.c_int64(size) for size in (*arg.shape, *arg.strides)]
    flags = [ctypes.c_int8(arg.padding == "nan")]
    if tuple(int(part) for part in plan.triton.split(".")[:2]) >= (3, 7):
        flags.append(ctypes.c_int8(arg.round_f32_to_tf32))
    return [ctypes.c_uint64(address), *wide, *flags, *sizes, *strides]


def scalar(kind: str, value: int | float) -> Any:
    """A number as the kernel takes it. A signless integer type takes both signs' bit patterns."""
    if kind in ("fp16", "bf16"):
        (bits,) = struct.unpack("<I", struct.pack("<f", float(value)))
        if kind == "fp16":
            try:
                (bits16,) = struct.unpack("<H", struct.pack("<e", float(value)))
            except OverflowError:
                bits16 = 0x7C00 if value > 0 else 0xFC00
            return ctypes.c_uint16(bits16)
        rounded = bits + 0x7FFF + (bits >> 16 & 1) if bits & 0x7F800000 != 0x7F800000 else bits
        return ctypes.c_uint16(rounded >> 16)
    return cuda_driver.SCALARS[kind](float(value) if kind.startswith("f") else int(value))
