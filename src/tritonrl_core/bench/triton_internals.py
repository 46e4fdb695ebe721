"""The one file that knows Triton's insides: how launches are seen, and how the compiler is cut in two at the TTIR.

Works with triton 3.6 to 3.9. The front half runs where the candidate's Python runs and leaves text; `back_half` runs in
a process that holds no candidate code. Nothing here knows about tensors' memory, plans' buffers or the sandbox.

What differs between versions, or may in the next:
- `JITFunction.create_binder` takes `compile` from `triton.compiler` on a function's first launch (3.6 to 3.9).
- The keyword arguments that `JITFunction.run` adds itself (`debug`, `instrumentation_mode`, 3.9: `fpsan_…`).
- A kernel's binary takes the launch arguments, then two pointers to scratch memory: `SCRATCH_POINTERS`.
- Backends' options: taken by name where present, see `carried_options`.
- A backend's `make_llir` calls `llvm.to_module` in its own module once MLIR's passes have run: `stops_at_llvm`.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import triton
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler.compiler import make_backend
from triton.compiler.errors import CompileTimeAssertionFailure
from triton.runtime.autotuner import Autotuner
from triton.runtime.driver import driver

from tritonrl_core.bench.plan import Kernel, Param
from tritonrl_core.bench.plan_read import OPTIONS
from tritonrl_core.bench.targets import GpuProperties

SCRATCH_POINTERS = 2
"""Pointer parameters (global and profile scratch memory) that a compiled kernel takes after its own."""

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
_GUESSED_REGISTERS, _GUESSED_SHARED = 64, 1024


class UnsupportedKernelError(Exception):
    """A kernel that is honest as far as one can see, but that cannot be recorded."""


class BorrowedKernelError(Exception):
    """A kernel that is not the candidate's own: an installed package brought it, or a function that it calls."""


class LoweredError(Exception):
    """Not a failure: MLIR's passes are through, and LLVM would begin."""


class LaunchSink(Protocol):
    """Who is told of launches. `arguments` are those of `kernel.params`: tensors, tensor descriptors, numbers."""

    keeps_launches: bool
    """False while launches are of no interest: then no kernel is compiled, and none is told."""

    def on_launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: Sequence[Any]) -> None: ...

    def on_tune(self, calls: Sequence[Callable[[], Any]], failures: type[Exception]) -> int:
        """Carry out alternatives of which one would run; `failures` only rule one out. Gives the number of one."""
        ...

    def on_note(self, kind: str, text: str) -> None: ...


@dataclass
class TritonStandIn:
    """Stands in for Triton's driver and for the second half of its compiler. `sink` may be changed at any time."""

    gpu: GpuProperties
    sink: LaunchSink | None = None

    def install(self) -> None:
        """From now on this process compiles to TTIR only and launches nothing. Not undone: fork first."""
        target = gpu_target(self.gpu)
        driver.set_active(_RecordingDriver(self.gpu, target))

        def front_half(src: Any, target: Any = None, options: Any = None, **_: Any) -> _RecordedKernel:
            return _RecordedKernel(self, src, target or gpu_target(self.gpu), options or {})

        def run_tuned(tuner: Any, *args: Any, **kwargs: Any) -> Any:
            return _run_tuned(self, tuner, args, kwargs)

        # A kernel's first launch looks the name up in the package, so this one place is enough.
        triton.compiler.compile = front_half
        triton.compile = front_half
        Autotuner.run = run_tuned

    def told(self) -> LaunchSink:
        if self.sink is None:
            raise UnsupportedKernelError("a kernel was launched outside a recording")
        return self.sink


def gpu_target(gpu: GpuProperties) -> Any:
    """Triton's word for the card."""
    return GPUTarget(gpu.backend, gpu.arch, gpu.warp_size)


class _RecordingDriver:
    """The part of Triton's driver interface that a launch and common programs ask for, answered for the target."""

    def __init__(self, gpu: GpuProperties, target: Any) -> None:
        self._target = target
        figures = {
            "max_shared_mem": gpu.shared_per_block,
            "multiprocessor_count": gpu.multiprocessors,
            "max_num_regs": gpu.registers_per_multiprocessor,
            "warpSize": gpu.warp_size,
            "sm_clock_rate": gpu.sm_clock_khz,
            "mem_clock_rate": 2_619_000,
            "mem_bus_width": 5120,
        }
        self.utils = SimpleNamespace(get_device_properties=lambda device: dict(figures))
        self.capability = gpu.capability

    def get_current_target(self) -> Any:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def set_current_device(self, device: int) -> None: ...

    def get_current_stream(self, device: int | None = None) -> int:
        return 0

    def get_device_capability(self, device: int | None = None) -> tuple[int, int]:
        return self.capability

    def get_active_torch_device(self) -> Any:
        import torch

        return torch.device("cuda", 0)

    def get_device_interface(self) -> Any:
        import torch

        return torch.cuda

    def get_benchmarker(self) -> Callable[..., Any]:
        return _no_benchmark

    def get_empty_cache_for_benchmark(self) -> Any:
        return SimpleNamespace(zero_=lambda: None)

    def clear_cache(self, cache: Any) -> None: ...


def _no_benchmark(call: Callable[[], Any], quantiles: Sequence[float] | None = None, **_: Any) -> Any:
    """Whoever times a kernel while it is recorded learns that everything takes one millisecond."""
    return [1.0] * len(quantiles) if quantiles else 1.0


class _RecordedKernel:
    """What a launch finds in place of Triton's CompiledKernel: TTIR, and a `run` that tells the sink."""

    function, module, packed_metadata, n_spills, n_max_threads = None, None, (), 0, 1024

    def __init__(self, stand_in: TritonStandIn, src: Any, target: Any, options: Mapping[str, Any]) -> None:
        self._stand_in = stand_in
        self._signature = list(src.signature.items())
        self._options, self._target = options, target
        self.src = src
        if stand_in.told().keeps_launches:
            self.kernel  # noqa: B018 - what does not compile must fail here

    @cached_property
    def kernel(self) -> Kernel:
        """The front half's work, done when a launch is kept for the first time."""
        return front_half(self.src, self._target, self._options, own=True)

    @property
    def name(self) -> str:
        return self.kernel.name

    hash = name

    @property
    def asm(self) -> dict[str, str]:
        return {"ttir": self.kernel.ttir}

    @property
    def metadata(self) -> SimpleNamespace:
        return SimpleNamespace(
            **{"num_warps": 4, "num_ctas": 1, "num_stages": 3, **self.kernel.options},
            shared=_GUESSED_SHARED, name=self.name, target=self._target,
        )  # fmt: skip

    @property
    def n_regs(self) -> int:
        """Not known before the second half compiles: a guess, noted because a grid may follow from it."""
        text = f"registers of {self.name} were asked for; {_GUESSED_REGISTERS} was the answer"
        self._stand_in.told().on_note("guess", text)
        return _GUESSED_REGISTERS

    def _init_handles(self) -> None: ...

    def launch_metadata(self, grid: Any, stream: Any, *args: Any) -> None:
        return None

    def run(self, x: Any, y: Any, z: Any, stream: Any, function: Any, packed: Any, launch: Any, enter: Any, leave: Any,
            *args: Any) -> None:  # fmt: skip
        grid = (operator.index(x), operator.index(y), operator.index(z))
        if not self._stand_in.told().keeps_launches:
            return
        flat: list[Any] = []
        for (name, kind), value in zip(self._signature, args, strict=True):
            flat.extend(value for _, _, value in _flatten(name, kind, value))
        self._stand_in.told().on_launch(self.kernel, grid, flat)

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        sizes = (*grid, 1, 1)[:3]

        def launch(*args: Any, stream: Any = None) -> None:
            # Called this way a kernel takes its runtime arguments alone, or (3.6 to 3.9) all of them.
            runtime = [(name, kind) for name, kind in self._signature if kind != "constexpr"]
            if len(args) == len(runtime) != len(self._signature):
                given = iter(args)
                args = tuple(None if kind == "constexpr" else next(given) for _, kind in self._signature)
            self.run(*sizes, stream, None, None, None, None, None, *args)

        return launch


def _flatten(path: str, kind: Any, value: Any) -> list[tuple[str, str, Any]]:
    """Path, type and value of what is passed at launch; tuples are taken apart, compile-time arguments left out."""
    if isinstance(kind, tuple):
        parts = list(value) if value is not None else [None] * len(kind)
        return [
            leaf for i, (k, v) in enumerate(zip(kind, parts, strict=True)) for leaf in _flatten(f"{path}.{i}", k, v)
        ]
    return [] if kind == "constexpr" else [(path, str(kind), value)]


def front_half(src: Any, target: Any, options: Mapping[str, Any], *, own: bool = False) -> Kernel:
    """Compile a kernel's source to the TTIR that Triton's own `make_ttir` leaves: what `back_half` takes.

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
    params = [leaf for name, kind in src.signature.items() for leaf in _flatten(name, kind, _no_values(kind))]
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
    """A compile-time argument as plain data, for interpreting and for people; see `plan_check`."""
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


def _run_tuned(stand_in: TritonStandIn, tuner: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`Autotuner.run` without a clock: every configuration that is left after pruning is an alternative.

    Hooks that only serve tuning (`reset_to_zero`, `restore_value`) are left out, as in every run after the first.
    """
    tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
    configs = tuner.prune_configs(dict(kwargs)) if len(tuner.configs) > 1 else tuner.configs
    results: dict[int, Any] = {}

    def alternative(number: int, config: Any) -> Callable[[], None]:
        clash = kwargs.keys() & config.kwargs.keys()
        if clash:
            raise ValueError(f"Conflicting meta-parameters: {', '.join(sorted(clash))}")

        def call() -> None:
            if config.pre_hook is not None:
                config.pre_hook({**tuner.nargs, **kwargs, **config.all_kwargs()})
            results[number] = tuner.fn.run(*args, **kwargs, **config.all_kwargs())

        return call

    calls = [alternative(number, config) for number, config in enumerate(configs)]
    chosen = stand_in.told().on_tune(calls, CompileTimeAssertionFailure)
    tuner.best_config = configs[chosen]
    tuner.nargs = None
    return results.get(chosen)
