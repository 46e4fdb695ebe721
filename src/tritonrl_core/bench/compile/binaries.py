"""Binaries of kernels, compiled in confined children and kept: the same TTIR and options compile once.

For the trusted side. It runs no compiler itself; a compiler that dies is the kernel's fault, a worker lost twice ours.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from tritonrl_core.bench.compile.request import BuildFailure, Built, binary_key, compile_data, read_built
from tritonrl_core.bench.plan.schema import Kernel
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import ForkServer, WorkerKind, retry_once
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Limits, SandboxResult

COMPILE = WorkerKind(
    "compile",
    "tritonrl_core.bench.compile.compiler",
    # Large steps of memory: a quarter of a compilation's page faults less.
    {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216:glibc.malloc.trim_threshold=268435456"
     ":glibc.malloc.mmap_threshold=268435456"},
)  # fmt: skip

KEPT = 4096
"""Binaries kept; each is some ten KiB."""


class Binaries:
    """Compiles kernels, each distinct one once. Safe to use from many threads."""

    def __init__(
        self, gpu: GpuProperties, workers: int, limits: Limits, preset: Mapping[str, Any] | None = None,
        *, yields: bool = False,
    ) -> None:  # fmt: skip
        self.gpu = gpu
        self._limits = limits
        self._server = ForkServer(COMPILE, workers, preset, yields=yields)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Future[Built]] = OrderedDict()

    def build(self, kernels: Sequence[Kernel], triton: str, *, whole: bool = True) -> list[Built]:
        """Binaries for the kernels, in order; what another thread compiles already is waited for.

        Not `whole`: what is known before LLVM, without a binary, unless there is one. Raises `InfraError` where
        compilers are lost for no reason of the kernels'.
        """
        mine: dict[str, Kernel] = {}
        with self._lock:
            keys = [self._key(kernel, triton, whole) for kernel in kernels]
            for key, kernel in zip(keys, kernels, strict=True):
                if key not in self._known:
                    self._known[key] = Future()
                    mine[key] = kernel
            waiting = [self._known[key] for key in keys]
        if mine:
            self._compile(mine, whole)
        built = [future.result() for future in waiting]
        self._forget()
        return built

    def close(self) -> None:
        self._server.close()

    def _key(self, kernel: Kernel, triton: str, whole: bool) -> str:
        """Where the answer is kept; a binary that is there, or on its way, answers less than a binary too."""
        key = binary_key(kernel, self.gpu, triton)
        return key if whole or key in self._known else binary_key(kernel, self.gpu, triton, whole=False)

    def _compile(self, kernels: Mapping[str, Kernel], whole: bool) -> None:
        """Compile and hand out. A failure of ours is handed to all that wait and is not kept."""
        try:
            built = self._together(list(kernels.values()), whole)
            for key, answer in zip(kernels, built, strict=True):
                self._known[key].set_result(answer)
        except BaseException as error:
            with self._lock:
                failed = [self._known.pop(key) for key in kernels if not self._known[key].done()]
            for future in failed:
                future.set_exception(error)
            raise

    def _together(self, kernels: list[Kernel], whole: bool) -> list[Built]:
        """All in one child; where that child does not answer, each in its own, so that one kernel fails alone."""
        result = self._job(kernels, whole)
        built = read_built(result.payload, len(kernels)) if result.outcome == "ok" else None
        if built is not None:
            return built
        if len(kernels) > 1:
            return [self._together([kernel], whole)[0] for kernel in kernels]
        if result.outcome == "refused":
            raise InfraError(f"the sandbox could not be set up: {result.detail}")
        words = {
            "timeout": f"compiling took more than {self._limits.wall_s:g} s",
            "memory": "compiling took too much memory",
        }
        return [BuildFailure(f"{kernels[0].name}: {words.get(result.outcome, 'the compiler crashed')}")]

    def _job(self, kernels: Sequence[Kernel], whole: bool) -> SandboxResult:
        fd = wire.memfd("tritonrl-compile", compile_data(kernels, self.gpu, whole))
        try:
            return retry_once(lambda: self._server.run([fd], self._limits))
        finally:
            os.close(fd)

    def _forget(self) -> None:
        with self._lock:
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
