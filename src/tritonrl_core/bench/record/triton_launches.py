"""How launches are seen: Triton's driver, its compiled kernels and its autotuner, stood in for where one records.

Works with triton 3.6 to 3.9. What a launch means is for its `LaunchSink`; how a kernel becomes text is
`triton_internals`'.

What differs between versions, or may in the next:
- `JITFunction.create_binder` takes `compile` from `triton.compiler` on a function's first launch (3.6 to 3.9).
- The keyword arguments that `JITFunction.run` adds itself (`debug`, `instrumentation_mode`, 3.9: `fpsan_…`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Protocol

import triton
from triton.compiler.errors import CompileTimeAssertionFailure
from triton.runtime.autotuner import Autotuner
from triton.runtime.driver import driver

from tritonrl_core.bench.compile.triton_internals import UnsupportedKernelError, flattened, front_half, gpu_target
from tritonrl_core.bench.plan.schema import Kernel
from tritonrl_core.bench.targets import GpuProperties

_GUESSED_REGISTERS, _GUESSED_SHARED = 64, 1024


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
            flat.extend(value for _, _, value in flattened(name, kind, value))
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
