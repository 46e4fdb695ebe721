"""The local bench: programs run on this machine, in forked children of warm worker processes."""

from __future__ import annotations

import json
import os
import platform
import threading
from collections.abc import Mapping

from tritonrl_core.bench.interpret.memory import Arena
from tritonrl_core.bench.plan.schema import LaunchPlan, encode
from tritonrl_core.bench.prepare import MakeCases, Preparation, Prepares, memory_for
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import INTERPRET, ForkServer
from tritonrl_core.bench.program import LocalProgram, Resources
from tritonrl_core.bench.record.ahead import Habit
from tritonrl_core.bench.references.prepared import References
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.types import Bench, BenchSpec, Candidate, Limits, Task

RECORD_BYTES = 16 << 20


def open_local_bench(spec: BenchSpec, make_cases: MakeCases, elsewhere: Prepares | None = None) -> Bench:
    """Open the bench that a resolved spec describes, with the machine's GPUs or without. Workers start at once.

    `elsewhere` records and compiles in place of this machine. Raises `UsageError` for a GPU bench without a GPU.
    """
    if spec.device == "cuda":
        from tritonrl_core.bench.gpu_program import GpuBench

        if not spec.gpus:
            raise UsageError(
                "verifier.gpus is empty, and nothing opens a bench that has its GPUs elsewhere",
                remedy="Enable a plugin that does (`ray`), or give `verifier.gpus` indices.",
            )
        return GpuBench(spec, make_cases, elsewhere=elsewhere)
    return LocalBench(spec, make_cases, elsewhere)


class LocalBench:
    """Programs on this machine's CPU: recorded, held to the rules and compiled for the target as where there is a GPU,
    and then replayed here. Close it to end its workers.
    """

    def __init__(self, spec: BenchSpec, make_cases: MakeCases, elsewhere: Prepares | None = None) -> None:
        self.spec = spec
        limits = Limits(
            wall_s=spec.timeout_s, cpu_s=spec.timeout_s + 1, memory_bytes=memory_for(spec.cpu_workers),
            output_bytes=RECORD_BYTES,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._preparation: Prepares | None = elsewhere
        self._resources = Resources(
            spec, gpu_for(spec.target), limits, ForkServer(INTERPRET, spec.cpu_workers, spec.worker_preset),
            References(), make_cases, self._prepare, Habit(make_cases),
        )  # fmt: skip
        self._prepare()

    def program(self, task: Task, candidate: Candidate) -> LocalProgram:
        """A candidate on this bench; nothing runs yet."""
        return LocalProgram(task, candidate, self._resources)

    def describe(self) -> Mapping[str, str]:
        """Device, target, sandbox and versions. Waits until the workers are warm: the sandbox is asked there."""
        import torch
        import triton

        fds = _nothing()
        try:
            result = self._resources.server.run(fds, self._resources.limits)
        finally:
            for fd in fds:
                os.close(fd)
        if result.outcome != "ok":
            raise InfraError(f"the sandbox gave {result.outcome}: {result.detail}", remedy="See `tritonrl doctor`.")
        return {
            "device": "cpu (launch plans are replayed)",
            "target": f"{self.spec.target} ({self._resources.gpu.name})",
            "speed": "estimated",
            "sandbox": result.sandbox,
            "workers": str(self.spec.cpu_workers),
            "torch": torch.__version__,
            "triton": triton.__version__,
            "python": platform.python_version(),
        }

    def close(self) -> None:
        """End all workers; safe to call twice."""
        self._resources.server.close()
        with self._lock:
            if self._preparation is not None:
                self._preparation.close()

    def _prepare(self) -> Prepares:
        """Recorder and compiler: two more kinds of warm process, if they are here."""
        with self._lock:
            if self._preparation is None:
                self._preparation = Preparation(self.spec, self._resources.gpu, self._resources.make_cases)
            return self._preparation


def _nothing() -> list[int]:
    """The smallest job: a plan without a step, by which `describe` learns what the sandbox is."""
    plan = LaunchPlan("sm_90", "3.7.1", (), (), (), {}, (), (), ())
    request = [{"seed": 0, "pick": 0, "launches": True, "backwards": False}]
    with Arena(plan) as arena:
        arena_fd = os.dup(arena.fd)
    return [wire.memfd("tritonrl-request", json.dumps(request).encode()), wire.memfd("tritonrl-plan", encode(plan)),
            arena_fd]  # fmt: skip
