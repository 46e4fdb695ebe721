"""The CUDA driver's functions that a replay needs, through ctypes: load a binary, set it up, launch it.

torch owns the context and the memory; this only adds what torch has no function for. Nothing is done at import.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tritonrl_core.bench.compile.request import CompiledKernel, DescriptorLayout

_MAX_DYNAMIC_SHARED, _LOCAL_BYTES, _REGISTERS, _NON_PORTABLE_CLUSTER = 8, 3, 4, 14
OUT_OF_MEMORY = 2
_COOPERATIVE, _CLUSTER, _CLUSTER_POLICY, _PROGRAMMATIC = 2, 4, 5, 6
_SPREAD = 1

SCALARS: dict[str, type[ctypes._SimpleCData[Any]]] = {
    "i1": ctypes.c_int8, "i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32, "i64": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u8": ctypes.c_uint8, "u16": ctypes.c_uint16, "u32": ctypes.c_uint32, "u64": ctypes.c_uint64,
    "fp32": ctypes.c_float, "f32": ctypes.c_float, "fp64": ctypes.c_double, "f64": ctypes.c_double,
}  # fmt: skip
"""Kernel parameter types as C sees them; half precision is packed by hand."""


class CudaError(Exception):
    """The driver refused or the device failed. `sticky` where the context is beyond use."""

    def __init__(self, code: int, doing: str) -> None:
        self.code = code
        super().__init__(f"{_name(code)} while {doing}")


class _AttributeValue(ctypes.Union):
    _fields_ = (("pad", ctypes.c_char * 64), ("flag", ctypes.c_int), ("size", ctypes.c_uint * 3))


class _Attribute(ctypes.Structure):
    _fields_ = (("id", ctypes.c_int), ("pad", ctypes.c_char * 4), ("value", _AttributeValue))


class _Config(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint),
        ("stream", ctypes.c_void_p), ("attributes", ctypes.POINTER(_Attribute)), ("count", ctypes.c_uint),
    )  # fmt: skip


@cache
def _cuda() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _name(code: int) -> str:
    text = ctypes.c_char_p()
    _cuda().cuGetErrorName(code, ctypes.byref(text))
    return (text.value or b"error").decode() + f" ({code})"


def _check(code: int, doing: str) -> None:
    if code:
        raise CudaError(code, doing)


@dataclass
class LoadedKernel:
    """A binary on the device. `registers` and `local_bytes` are for one thread."""

    kernel: CompiledKernel
    module: ctypes.c_void_p
    function: ctypes.c_void_p
    registers: int
    local_bytes: int

    def unload(self) -> None:
        """Give its memory back; launches must have ended."""
        _cuda().cuModuleUnload(self.module)


def load(kernel: CompiledKernel) -> LoadedKernel:
    """Load a binary into torch's current context. Raises `CudaError` where the driver refuses it."""
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _check(_cuda().cuModuleLoadData(ctypes.byref(module), kernel.binary), f"loading {kernel.name}")
    doing = f"setting up {kernel.name}"
    _check(_cuda().cuModuleGetFunction(ctypes.byref(function), module, kernel.name.encode()), doing)
    if kernel.shared > 48 << 10:
        _check(_cuda().cuFuncSetAttribute(function, _MAX_DYNAMIC_SHARED, kernel.shared), doing)
    if kernel.num_ctas > 8:
        _check(_cuda().cuFuncSetAttribute(function, _NON_PORTABLE_CLUSTER, 1), doing)
    return LoadedKernel(kernel, module, function, _attribute(function, _REGISTERS), _attribute(function, _LOCAL_BYTES))


def _attribute(function: ctypes.c_void_p, which: int) -> int:
    value = ctypes.c_int()
    _check(_cuda().cuFuncGetAttribute(ctypes.byref(value), which, function), "asking about a kernel")
    return value.value


class PreparedLaunch:
    """A launch with its arguments in place; calling it only enqueues. Keeps alive what the driver points to."""

    def __init__(self, loaded: LoadedKernel, grid: tuple[int, int, int], values: Sequence[Any]) -> None:
        kernel = loaded.kernel
        self._values = list(values)
        addresses = [ctypes.addressof(value) for value in self._values]
        self._array = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
        self._function = loaded.function
        self._doing = f"launching {kernel.name}"
        self._attributes = _launch_attributes(kernel)
        config = self._config = _Config()
        config.grid = (ctypes.c_uint * 3)(grid[0] * kernel.num_ctas, grid[1], grid[2])
        config.block = (ctypes.c_uint * 3)(32 * kernel.num_warps, 1, 1)
        config.shared = kernel.shared
        config.attributes = ctypes.cast(self._attributes, ctypes.POINTER(_Attribute))
        config.count = len(self._attributes)

    def __call__(self, stream: int) -> None:
        """Enqueue on a stream (its handle). Raises `CudaError`."""
        self._config.stream = stream
        code = _cuda().cuLaunchKernelEx(ctypes.byref(self._config), self._function, self._array, None)
        _check(code, self._doing)


def _launch_attributes(kernel: CompiledKernel) -> Any:
    found: list[_Attribute] = []
    if kernel.launch_pdl:
        found.append(_Attribute(id=_PROGRAMMATIC, value=_AttributeValue(flag=1)))
    if kernel.cooperative:
        found.append(_Attribute(id=_COOPERATIVE, value=_AttributeValue(flag=1)))
    if kernel.num_ctas > 1:
        size = (ctypes.c_uint * 3)(kernel.num_ctas, 1, 1)
        found.append(_Attribute(id=_CLUSTER, value=_AttributeValue(size=size)))
        found.append(_Attribute(id=_CLUSTER_POLICY, value=_AttributeValue(flag=_SPREAD)))
    return (_Attribute * len(found))(*found)


_HOST_TYPES = {8: 10, 9: 8, 10: 9}
"""The compiler's numbers of element types that differ from the driver's (bf16, fp32, fp64)."""
_TF32 = 11


def tensor_map(layout: DescriptorLayout, address: int, shape: Sequence[int], strides: Sequence[int],
               *, nan_padding: bool, tf32: bool) -> Any:  # fmt: skip
    """A TMA descriptor as 128 bytes, aligned to 64. Sizes and strides in elements, last dimension first in memory.

    Raises `CudaError` where the driver refuses the sizes.
    """
    rank = len(shape)
    sizes = list(shape)
    if layout.fp4_padded:
        sizes[-1] *= 2
    raw = ctypes.create_string_buffer(128 + 64)
    start = -(-ctypes.addressof(raw) // 64) * 64
    encoded = (ctypes.c_char * 128).from_address(start)
    encoded._keep = raw  # type: ignore[attr-defined]
    element = _TF32 if tf32 else _HOST_TYPES.get(layout.elem_type, layout.elem_type)
    dims = (ctypes.c_uint64 * rank)(*reversed(sizes))
    steps = (ctypes.c_uint64 * max(1, rank - 1))(*[step * layout.elem_size for step in reversed(strides[:-1])])
    box = (ctypes.c_uint32 * rank)(*reversed(layout.block_size))
    ones = (ctypes.c_uint32 * rank)(*([1] * rank))
    code = _cuda().cuTensorMapEncodeTiled(
        ctypes.c_void_p(start), element, rank, ctypes.c_void_p(address), dims, steps, box, ones,
        0, layout.swizzle, 2, 1 if nan_padding else 0,
    )  # fmt: skip
    _check(code, "encoding a tensor descriptor")
    return encoded
