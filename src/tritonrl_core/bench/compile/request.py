"""What goes to the compile worker and what comes back, and the check of it: for the trusted side, without Triton.

The worker runs no candidate Python, but it reads text that a stranger wrote: what it says is checked like a stranger's.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from tritonrl_core.bench.plan.schema import Kernel
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.types import content_key

MAX_BINARY = 64 << 20


@dataclass(frozen=True, slots=True)
class DescriptorLayout:
    """How the compiled kernel wants a tensor descriptor encoded: what the driver's encoder takes."""

    swizzle: int
    elem_size: int
    elem_type: int
    block_size: tuple[int, ...]
    fp4_padded: bool = False


@dataclass(frozen=True, slots=True)
class CompiledKernel:
    """A kernel's binary and what launching it takes. Sizes in bytes; scratch sizes are for one program (CTA).

    `registers` and `spill_bytes` are for one thread; -1 where the assembler did not say. `binary` is empty where none
    was asked for. `descriptors` has a layout for each descriptor parameter in order, or is empty where the compiler
    took the descriptors apart.
    """

    name: str
    binary: bytes
    shared: int
    num_warps: int
    num_ctas: int = 1
    global_scratch: int = 0
    global_scratch_align: int = 1
    profile_scratch: int = 0
    profile_scratch_align: int = 1
    cooperative: bool = False
    launch_pdl: bool = False
    registers: int = -1
    spill_bytes: int = -1
    descriptors: tuple[DescriptorLayout, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """Why a kernel does not compile for the target."""

    reason: str


Built = CompiledKernel | BuildFailure


def binary_key(kernel: Kernel, gpu: GpuProperties, triton: str, whole: bool = True) -> str:
    """What a binary depends on: TTIR, options, target, Triton's version. Not names of variables, lines or paths."""
    limits = (gpu.target, gpu.shared_per_block)
    return content_key("binary" if whole else "lowered", kernel.ttir, dict(kernel.options), limits, triton)


def compile_data(kernels: Sequence[Kernel], gpu: GpuProperties, whole: bool = True) -> bytes:
    """A job for the compile worker; not `whole`: as far as MLIR goes, without binaries."""
    items = [{"name": kernel.name, "ttir": kernel.ttir, "options": dict(kernel.options)} for kernel in kernels]
    return json.dumps({"kernels": items, "gpu": asdict(gpu), "whole": whole}).encode()


def built_bytes(built: Sequence[Built]) -> bytes:
    """The worker's answer, one entry a kernel."""
    return json.dumps([_built_data(part) for part in built]).encode()


def read_built(data: bytes, count: int) -> list[Built] | None:
    """The worker's answer, checked; None where it is not one for `count` kernels."""
    try:
        parts = json.loads(data)
        if not isinstance(parts, list) or len(parts) != count:
            return None
        return [_read(part) for part in parts]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return None


def _built_data(built: Built) -> dict[str, Any]:
    if isinstance(built, BuildFailure):
        return {"failure": built.reason}
    return {**asdict(built), "binary": base64.b64encode(built.binary).decode()}


_NUMBERS = (
    "shared", "num_warps", "num_ctas", "global_scratch", "global_scratch_align", "profile_scratch",
    "profile_scratch_align", "registers", "spill_bytes",
)  # fmt: skip


def _read(part: Mapping[str, Any]) -> Built:
    if set(part) == {"failure"}:
        return BuildFailure(str(part["failure"])[:2000])
    if set(part) != {field.name for field in fields(CompiledKernel)}:
        raise ValueError("unknown fields")
    numbers = {name: part[name] for name in _NUMBERS}
    if not all(type(value) is int and -1 <= value <= 1 << 32 for value in numbers.values()):
        raise ValueError("a number out of range")
    if not 1 <= numbers["num_warps"] <= 64 or not 1 <= numbers["num_ctas"] <= 16 or numbers["shared"] < 0:
        raise ValueError("a number out of range")
    if len(part["binary"]) > 2 * MAX_BINARY or not isinstance(part["name"], str):
        raise ValueError("a binary too large")
    return CompiledKernel(
        name=part["name"][:1000], binary=base64.b64decode(part["binary"], validate=True), **numbers,
        cooperative=bool(part["cooperative"]), launch_pdl=bool(part["launch_pdl"]), seconds=float(part["seconds"]),
        descriptors=tuple(_layout(item) for item in part["descriptors"]),
    )  # fmt: skip


def _layout(item: Mapping[str, Any]) -> DescriptorLayout:
    numbers = [int(item[name]) for name in ("swizzle", "elem_size", "elem_type")]
    block = tuple(int(size) for size in item["block_size"])
    if not all(0 <= value <= 1 << 16 for value in (*numbers, *block)) or len(block) > 5:
        raise ValueError("a descriptor's layout out of range")
    return DescriptorLayout(numbers[0], numbers[1], numbers[2], block, bool(item["fp4_padded"]))
