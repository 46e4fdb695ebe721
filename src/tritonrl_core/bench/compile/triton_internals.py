"""Triton's compiler from the inside: how it is cut in two at the TTIR. How launches are seen is `triton_launches`'.

Works with triton 3.6 to 3.9. The front half runs where the candidate's Python runs and leaves text; the back half
(`compiler`) runs in a process that holds no candidate code, with what stands here about its stages. Nothing here knows
about tensors' memory, plans' buffers or the sandbox.

What differs between versions, or may in the next:
- Backends' options: taken by name where present, see `carried_options`.
- A backend's `make_llir` calls `llvm.to_module` in its own module once MLIR's passes have run: `stops_at_llvm`.
- A kernel's binary takes the launch arguments, then two pointers to scratch memory: `replay.launch.arguments`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import triton
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler.compiler import make_backend

from tritonrl_core.bench.plan.read import OPTIONS
from tritonrl_core.bench.plan.schema import Kernel, Param
from tritonrl_core.bench.targets import GpuProperties

_ENTRY = re.compile(r"tt\.func public @(\w+)\(")
_SOURCE = re.compile(r'loc\("([^"]+)":')
_OWN_SOURCES = f"{Path(triton.__file__).parent}/"
_HARMFUL_OPTIONS = (
    "ptx_options",
    "ir_override",
    "extern_libs",
    "ptx_version",
    "arch",
    "backend_name",
    "instrumentation_mode",
)


class UnsupportedKernelError(Exception):
    """A kernel that is honest as far as one can see, but that cannot be recorded."""


class BorrowedKernelError(Exception):
    """A kernel that is not the candidate's own: an installed package brought it, or a function that it calls."""


class LoweredError(Exception):
    """Not a failure: MLIR's passes are through, and LLVM would begin."""


def gpu_target(gpu: GpuProperties) -> Any:
    """Triton's word for the card."""
    return GPUTarget(gpu.backend, gpu.arch, gpu.warp_size)


def flattened(path: str, kind: Any, value: Any) -> list[tuple[str, str, Any]]:
    """Path, type and value of what is passed at launch; tuples are taken apart, compile-time arguments left out."""
    if isinstance(kind, tuple):
        parts = list(value) if value is not None else [None] * len(kind)
        return [
            leaf for i, (k, v) in enumerate(zip(kind, parts, strict=True)) for leaf in flattened(f"{path}.{i}", k, v)
        ]
    return [] if kind == "constexpr" else [(path, str(kind), value)]


def front_half(src: Any, target: Any, options: Mapping[str, Any], *, own: bool = False) -> Kernel:
    """Compile a kernel's source to the TTIR that Triton's own `make_ttir` leaves: what the back half takes.

    `own`: only what comes from no file but Triton's. Raises `BorrowedKernelError`, and what Triton raises.
    """
    if getattr(src, "signature", None) is None or getattr(src, "ext", "") != "ttir":
        raise UnsupportedKernelError("only @triton.jit functions can be recorded (no Gluon, no ready-made IR)")
    backend = make_backend(target)
    chosen = backend.parse_options(dict(options))
    context = loaded_context(target.backend, backend)
    lean, functions = _without_dead_checks(chosen), backend.get_codegen_implementation(chosen)
    module = src.make_ir(target, lean, functions, backend.get_module_map(), context)
    if own:
        _refuse_borrowed(module.str())
    stages: dict[str, Callable[..., Any]] = {}
    backend.add_stages(stages, chosen, src.language)
    text = stages["ttir"](module, {}).str_nodebug()
    entry = entry_of(text)
    if not entry:
        raise UnsupportedKernelError("the front end left no kernel")
    names = list(src.signature)
    params = [leaf for name, kind in src.signature.items() for leaf in flattened(name, kind, _no_values(kind))]
    promises = _promises(src, names)
    return Kernel(
        name=entry,
        function=src.fn.fn.__qualname__,
        ttir=text,
        options=carried_options(backend, chosen),
        params=tuple(Param(path, _plain_type(kind), promises.get(path, 0)) for path, kind, _ in params),
        constants={_path(names, key): plain_constant(value) for key, value in src.constants.items()},
        line=src.fn.starting_line_number,
    )


def _refuse_borrowed(text: str) -> None:
    """What was compiled says which files it comes from: the candidate's, which lies on no disk, and Triton's own."""
    for name in dict.fromkeys(_SOURCE.findall(text)):
        if name.startswith("/") and not name.startswith(_OWN_SOURCES):
            file = Path(name).name
            raise BorrowedKernelError(f"the kernel comes from {file} of an installed package: write it yourself")


def _without_dead_checks(chosen: Any) -> Any:
    """Options for Triton's front end that give the same TTIR sooner.

    Unless told otherwise it computes for every integer operation whether it overflows, and then asserts that only under
    `debug`: else the operations have no use and `make_ttir` removes them.
    """
    checks = getattr(chosen, "sanitize_overflow", False) and not chosen.debug
    return replace(chosen, sanitize_overflow=False) if checks else chosen


def entry_of(ttir: str) -> str:
    """The name of the kernel in a module's text; "" where there is none."""
    found = _ENTRY.search(ttir)
    return found[1] if found else ""


_CONTEXTS: dict[str, Any] = {}
"""MLIR contexts by backend, with their dialects: a forked child finds its parent's. Loading them takes milliseconds."""


def loaded_context(name: str, backend: Any) -> Any:
    """This process's MLIR context for a backend."""
    context = _CONTEXTS.get(name)
    if context is None:
        context = _CONTEXTS[name] = ir.context()
        ir.load_dialects(context)
        backend.load_dialects(context)
    return context


@contextmanager
def with_llvm(backend: Any, **functions: Any) -> Iterator[None]:
    """Within, a backend's stages find other functions under these names of Triton's `llvm`."""
    place = sys.modules[type(backend).__module__]
    own = place.llvm
    names = (name for name in dir(own) if not name.startswith("__"))
    place.llvm = SimpleNamespace(**{**{name: getattr(own, name) for name in names}, **functions})  # type: ignore[attr-defined]
    try:
        yield
    finally:
        place.llvm = own  # type: ignore[attr-defined]


def stops_at_llvm(backend: Any) -> AbstractContextManager[None]:
    """Within, the stage that hands a kernel to LLVM ends in `LoweredError` instead. Most of a compilation's time is
    LLVM's and the assembler's; what MLIR knows by then (shared memory, scratch memory) are attributes of the module.
    """

    def stop(*_: Any) -> Any:
        raise LoweredError

    return with_llvm(backend, to_module=stop)


def lowered_figures(module: Any) -> dict[str, int]:
    """What a module says of itself once it is lowered, under the names that a backend gives it in its metadata."""
    found = {name: module.get_int_attr(f"ttg.{key}") for name, key in _LOWERED.items()}
    return {name: value for name, value in found.items() if value is not None}


_LOWERED = {
    "num_warps": "total-num-warps",  # there where warps are specialised: more than the kernel asked for
    "shared": "shared",
    "global_scratch_size": "global_scratch_memory_size",
    "global_scratch_align": "global_scratch_memory_alignment",
    "profile_scratch_size": "profile_scratch_memory_size",
    "profile_scratch_align": "profile_scratch_memory_alignment",
}


def _no_values(kind: Any) -> Any:
    return tuple(_no_values(part) for part in kind) if isinstance(kind, tuple) else None


def _plain_type(kind: str) -> str:
    return kind.replace("*k", "*", 1) if kind.startswith("*k") else kind


def _path(names: Sequence[str], key: Any) -> str:
    first, *rest = key if isinstance(key, tuple) else (key,)
    return ".".join([first if isinstance(first, str) else names[first], *map(str, rest)])


def _promises(src: Any, names: Sequence[str]) -> dict[str, int]:
    found = {}
    for key, attributes in src.attrs.items():
        for name, value in attributes:
            if name == "tt.divisibility":
                found[_path(names, key)] = int(value)
    return found


def plain_constant(value: Any) -> Any:
    """A compile-time argument as plain data, for interpreting and for people; see `plan.check`."""
    value = getattr(value, "value", value) if type(value).__name__ == "constexpr" else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return tuple(plain_constant(part) for part in value)
    if type(value).__name__ == "dtype":
        return {"dtype": str(getattr(value, "name", value))}
    inner = getattr(value, "fn", value)
    return {"function": str(getattr(inner, "__qualname__", type(value).__name__))}


def carried_options(backend: Any, chosen: Any) -> dict[str, int | bool]:
    """The compile options that go with the TTIR. Raises where one names a file, a tool or another architecture."""
    usual = backend.parse_options({})
    for name in _HARMFUL_OPTIONS:
        if getattr(chosen, name, None) != getattr(usual, name, None):
            raise UnsupportedKernelError(f"compile option {name} is not supported")
    carried = {name: getattr(chosen, name, None) for name in OPTIONS}
    return {name: value for name, value in carried.items() if isinstance(value, bool | int)}
