"""GPUs that kernels are compiled for: what a program may ask of its device, and the figures of its roofline.

Used where there is no such GPU to ask. Figures are the vendors' data sheets' (dense, without sparsity); where the real
card is at hand, `from_device` asks it. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tritonrl_core.errors import UsageError


@dataclass(frozen=True, slots=True)
class GpuProperties:
    """One GPU. Sizes in bytes, `dram_bandwidth` and `l2_bandwidth` in bytes/s, `flops` in operations/s by the kind of
    arithmetic: `fp64`, `fp32` (outside matrix units), `tf32`, `fp16` (also bf16) and `fp8` (matrix units).
    """

    target: str
    name: str
    multiprocessors: int
    shared_per_block: int
    shared_per_multiprocessor: int
    l2_bytes: int
    memory_bytes: int
    threads_per_multiprocessor: int
    dram_bandwidth: float
    l2_bandwidth: float
    flops: Mapping[str, float]
    sm_clock_khz: int
    blocks_per_multiprocessor: int = 32
    registers_per_multiprocessor: int = 65_536
    warp_size: int = 32

    @property
    def backend(self) -> str:
        """Triton's name of the vendor: `cuda` or `hip`."""
        return "cuda" if self.target.startswith("sm_") else "hip"

    @property
    def arch(self) -> int | str:
        """What Triton calls the target: 90 for `sm_90`, `gfx942` as it is."""
        return int(self.target[3:]) if self.backend == "cuda" else self.target

    @property
    def capability(self) -> tuple[int, int]:
        """Major and minor compute capability; for AMD the first digits of the architecture, as torch reports it."""
        if self.backend == "cuda":
            return divmod(int(self.target[3:]), 10)
        return int(self.target[3:-2]), int(self.target[-2], 16)


def _gpu(
    target: str, name: str, sms: int, shared: int, per_sm: int, l2: int, memory: int, threads: int, dram: float,
    flops: tuple[float, float, float, float, float], clock: int, blocks: int = 32,
) -> GpuProperties:  # fmt: skip
    """KiB, MiB, GiB, TB/s, TFLOP/s and MHz, as data sheets have them. L2 bandwidth is taken as 2.5 times DRAM's."""
    kinds = dict(zip(("fp64", "fp32", "tf32", "fp16", "fp8"), (rate * 1e12 for rate in flops), strict=True))
    return GpuProperties(
        target, name, sms, shared << 10, per_sm << 10, l2 << 20, memory << 30, threads, dram * 1e12,
        dram * 2.5e12, kinds,
        clock * 1000, blocks,
    )  # fmt: skip


TARGETS: Mapping[str, GpuProperties] = {
    gpu.target: gpu
    for gpu in (
        _gpu("sm_70", "Tesla V100-SXM2-32GB", 80, 96, 96, 6, 32, 2048, 0.9, (7.8, 15.7, 15.7, 125, 125), 1530),
        _gpu("sm_75", "Tesla T4", 40, 64, 64, 4, 16, 1024, 0.32, (0.25, 8.1, 8.1, 65, 65), 1590, 16),
        _gpu("sm_80", "NVIDIA A100-SXM4-80GB", 108, 163, 164, 40, 80, 2048, 2.04, (9.7, 19.5, 156, 312, 312), 1410),
        _gpu("sm_86", "NVIDIA GeForce RTX 3090", 82, 99, 100, 6, 24, 1536, 0.94, (0.56, 35.6, 35.6, 71, 71), 1695, 16),
        _gpu("sm_87", "Orin", 16, 163, 164, 4, 32, 1536, 0.2, (0.08, 5.3, 21, 43, 43), 1300, 16),
        _gpu(
            "sm_89", "NVIDIA GeForce RTX 4090", 128, 99, 100, 72, 24, 1536, 1.01, (1.3, 82.6, 82.6, 165, 330), 2520, 24
        ),
        _gpu("sm_90", "NVIDIA H100 80GB HBM3", 132, 227, 228, 50, 80, 2048, 3.35, (33.5, 66.9, 495, 989, 1979), 1980),
        _gpu("sm_100", "NVIDIA B200", 148, 227, 228, 126, 180, 2048, 8.0, (37, 75, 1100, 2250, 4500), 1965),
        _gpu("sm_103", "NVIDIA B300", 148, 227, 228, 126, 270, 2048, 8.0, (1.2, 75, 1100, 2250, 4500), 1965),
        _gpu(
            "sm_120",
            "NVIDIA GeForce RTX 5090",
            170,
            99,
            100,
            96,
            32,
            1536,
            1.79,
            (1.6, 104.8, 104.8, 210, 419),
            2410,
            24,
        ),
        replace(
            _gpu("gfx90a", "AMD Instinct MI250X", 110, 64, 64, 8, 64, 2048, 1.6, (24, 24, 24, 191, 191), 1700),
            warp_size=64,
        ),
        replace(
            _gpu("gfx942", "AMD Instinct MI300X", 304, 64, 64, 32, 192, 2048, 5.3, (81.7, 163, 654, 1307, 2615), 2100),
            warp_size=64,
        ),
    )
}
"""One card for each target; its name is what a recorded program is told."""


def gpu_for(target: str) -> GpuProperties:
    """The card for a target such as `sm_90`; for a capability not in the table, the nearest older one's figures.

    Raises `UsageError` for what is no target at all.
    """
    if target in TARGETS:
        return TARGETS[target]
    match = re.fullmatch(r"sm_(\d{2,3})", target)
    if match is None:
        raise UsageError(f"{target!r} is not a GPU target", remedy=f"Use one such as {', '.join(TARGETS)}.")
    known = [gpu for gpu in TARGETS.values() if gpu.backend == "cuda"]
    older = [gpu for gpu in known if int(gpu.target[3:]) <= int(match[1])] or known[:1]
    return replace(max(older, key=lambda gpu: int(gpu.target[3:])), target=target)


def from_device(properties: Any) -> GpuProperties:
    """The card that torch sees: `properties` is `torch.cuda.get_device_properties(i)`. Rates stay the table's."""
    gpu = gpu_for(f"sm_{properties.major}{properties.minor}")
    return replace(
        gpu,
        name=properties.name,
        multiprocessors=properties.multi_processor_count,
        memory_bytes=properties.total_memory,
        l2_bytes=properties.L2_cache_size,
        shared_per_block=properties.shared_memory_per_block_optin,
        threads_per_multiprocessor=properties.max_threads_per_multi_processor,
    )
