"""The compile worker: TTIR in, a binary for the target out. Runs in a confined child and sees no candidate Python.

Triton's own stages after TTIR are called one by one, in memory; its cache, its driver and its launcher are not used.
A text that Triton would print otherwise is refused: others read it more simply than MLIR does. Where no binary is asked
for they end before LLVM: what MLIR's passes refuse and what does not fit the card is told all the same, in a quarter of
the time. Line information is left out: there are no lines of the candidate's in TTIR, and without it the code is the
same, the binary a third as large.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from triton import knobs
from triton._C.libtriton import ir
from triton.backends.compiler import Language
from triton.compiler.compiler import make_backend

from tritonrl_core.bench.compile import libdevice
from tritonrl_core.bench.compile.request import (
    BuildFailure,
    Built,
    CompiledKernel,
    DescriptorLayout,
    built_bytes,
    compile_data,
)
from tritonrl_core.bench.compile.triton_internals import (
    LoweredError,
    entry_of,
    gpu_target,
    loaded_context,
    lowered_figures,
    stops_at_llvm,
)
from tritonrl_core.bench.plan.schema import Kernel
from tritonrl_core.bench.targets import GpuProperties, gpu_for
from tritonrl_core.errors import InfraError

_REGISTERS = re.compile(r"Used (\d+) registers")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_NOISE = re.compile(r"^(Repro command|Please|please|=+$|`ptxas` stderr:|ptxas info|\s*$)")
_PATHS = re.compile(r"(/[\w.+-]+){2,}/?")

_WARM_TTIR = """
module {
  tt.func public @warm(%arg0: !tt.ptr<f32> {tt.divisibility = 16 : i32}) attributes {noinline = false} {
    %0 = tt.make_range {end = 128 : i32, start = 0 : i32} : tensor<128xi32>
    %1 = tt.splat %arg0 : !tt.ptr<f32> -> tensor<128x!tt.ptr<f32>>
    %2 = tt.addptr %1, %0 : tensor<128x!tt.ptr<f32>>, tensor<128xi32>
    %3 = tt.load %2 : tensor<128x!tt.ptr<f32>>
    tt.store %2, %3 : tensor<128x!tt.ptr<f32>>
    tt.return
  }
}
"""


class ForeignTextError(Exception):
    """TTIR that MLIR understands and would print otherwise."""


def warm() -> None:
    """Compile one kernel, so that a forked child finds the compiler loaded."""
    gpu = gpu_for("sm_90")
    target = gpu_target(gpu)
    backend = make_backend(target)
    text = _parsed(_WARM_TTIR, loaded_context(target.backend, backend)).str_nodebug()
    built = json.loads(_answer(compile_data([Kernel("warm", "warm", text, {}, ())], gpu)))
    if "failure" in built[0]:
        raise InfraError(f"the compiler does not work here: {built[0]['failure']}")
    backend = make_backend(gpu_target(gpu))
    libdevice.load(backend, dict(backend.parse_options({}).extern_libs)["libdevice"])


def run(request: int) -> bytes:
    """One job of a warm worker: `request` is a descriptor that holds `compile_data`."""
    return _answer(os.pread(request, os.fstat(request).st_size, 0))


def _answer(data: bytes) -> bytes:
    job = json.loads(data)
    gpu = GpuProperties(**{part.name: job["gpu"][part.name] for part in fields(GpuProperties)})
    kernels = ((item["ttir"], item["options"]) for item in job["kernels"])
    return built_bytes([compile_kernel(ttir, options, gpu, whole=job["whole"]) for ttir, options in kernels])


def compile_kernel(ttir: str, options: Mapping[str, Any], gpu: GpuProperties, *, whole: bool = True) -> Built:
    """Compile one kernel's TTIR for a card; not `whole`: only to where LLVM would begin, which leaves no binary.

    The boundary around all that the compiler raises. Compilers print: Python's standard output is taken, and the
    process's standard error while MLIR runs its passes.
    """
    begun = time.perf_counter()
    output, log = io.StringIO(), tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    try:
        with contextlib.redirect_stdout(output), _standard_error(log.fileno()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kernel, binary = _stages(ttir, options, gpu, whole)
    except Exception as error:  # noqa: BLE001 - whatever stops a compiler is the kernel's fault
        log.seek(0)
        return BuildFailure(cut(f"{error}\n{log.read().decode('utf-8', 'replace')}"))
    finally:
        log.close()
    return _checked(kernel, binary, output.getvalue(), gpu, time.perf_counter() - begun)


@contextlib.contextmanager
def _standard_error(fd: int) -> Any:
    before = os.dup(2)
    os.dup2(fd, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _stages(ttir: str, options: Mapping[str, Any], gpu: GpuProperties, whole: bool) -> tuple[dict[str, Any], bytes]:
    target = gpu_target(gpu)
    backend = make_backend(target)
    chosen = backend.parse_options(dict(options))
    context = loaded_context(target.backend, backend)
    module = _parsed(ttir, context)
    if module.str_nodebug() != ttir:
        # Whoever else reads the text (`ttir`, `ttir_rules`, the machine) reads it line by line, as Triton prints it.
        raise ForeignTextError("the kernel's text is not written as Triton writes it")
    stages: dict[str, Any] = {}
    backend.add_stages(stages, chosen, Language.TRITON)
    metadata: dict[str, Any] = {"target": target, **chosen.__dict__}
    knobs.compilation.disable_line_info = True
    if gpu.backend == "cuda":
        knobs.nvidia.dump_ptxas_log = True
    with libdevice.links_excerpts(backend) if whole else stops_at_llvm(backend):
        for name, stage in stages.items():
            try:
                module = module if name == "ttir" else stage(module, metadata)
            except LoweredError:
                return {**metadata, **lowered_figures(module), "name": entry_of(ttir)}, b""
    return metadata, bytes(module)


def _parsed(ttir: str, context: Any) -> Any:
    """The module that MLIR reads from a text. Raises `RuntimeError`."""
    with tempfile.TemporaryDirectory() as folder:  # a name of its own would stand in messages, another each time
        file = Path(folder, "kernel.ttir")
        file.write_text(ttir, encoding="utf-8")
        module: Any = ir.parse_mlir_module(str(file), context)
    module.context = context
    return module


def _checked(kernel: Mapping[str, Any], binary: bytes, log: str, gpu: GpuProperties, seconds: float) -> Built:
    """What the card cannot run is a failure here, as Triton's own launcher would say it."""
    shared, warps = int(kernel.get("shared") or 0), int(kernel["num_warps"])
    if shared > gpu.shared_per_block:
        return BuildFailure(
            f"out of resources: shared memory, {shared} bytes needed, {gpu.target} has {gpu.shared_per_block}. "
            "Reduce block sizes or num_stages."
        )
    if warps * gpu.warp_size > 1024:
        return BuildFailure(f"out of resources: {warps} warps are {warps * gpu.warp_size} threads, 1024 are allowed")
    registers, spills = _REGISTERS.search(log), _SPILLS.search(log)
    return CompiledKernel(
        name=kernel["name"],
        binary=binary,
        shared=shared,
        num_warps=warps,
        num_ctas=int(kernel.get("num_ctas") or 1),
        global_scratch=int(kernel.get("global_scratch_size") or 0),
        global_scratch_align=int(kernel.get("global_scratch_align") or 1),
        profile_scratch=int(kernel.get("profile_scratch_size") or 0),
        profile_scratch_align=int(kernel.get("profile_scratch_align") or 1),
        cooperative=bool(kernel.get("launch_cooperative_grid")),
        launch_pdl=bool(kernel.get("launch_pdl")),
        registers=int(registers[1]) if registers else -1,
        spill_bytes=int(spills[1]) + int(spills[2]) if spills else -1,
        descriptors=tuple(_layout(item) for item in kernel.get("tensordesc_meta") or ()),
        seconds=seconds,
    )


def _layout(item: Mapping[str, Any]) -> DescriptorLayout:
    return DescriptorLayout(
        swizzle=int(item["swizzle"]),
        elem_size=int(item["elem_size"]),
        elem_type=int(item["elem_type"]),
        block_size=tuple(int(size) for size in item["block_size"]),
        fp4_padded=bool(item.get("fp4_padded", False)),
    )


def cut(message: str, lines: int = 8, width: int = 240) -> str:
    """The lines of a compiler's message that say something, without paths, repeated source and requests to report."""
    kept: list[str] = []
    for line in message.splitlines():
        text = _PATHS.sub(lambda match: Path(match[0]).name, line.strip())[:width]
        if text and not _NOISE.match(text) and text not in kept:
            kept.append(text)
    errors = [line for line in kept if "error" in line.lower() or "fail" in line.lower()]
    return "\n".join((errors or kept)[:lines]) or "the compiler failed without a message"
