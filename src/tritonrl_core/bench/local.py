"""The local bench: programs run on this machine, in forked children of warm worker processes."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping
from dataclasses import replace

from tritonrl_core.bench.forkserver import INTERPRET, ForkServer
from tritonrl_core.bench.prepare import MakeCases, Preparation
from tritonrl_core.bench.program import LocalProgram, Resources
from tritonrl_core.bench.references import References
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import Bench, BenchSpec, Candidate, InputCase, Limits, Task

MOST_MEMORY = 4 << 30
"""What one candidate may use, in bytes, where the machine has plenty."""

RECORD_BYTES = 4 << 20


def open_local_bench(spec: BenchSpec, make_cases: MakeCases) -> Bench:
    """Open the bench that a resolved spec describes, with the machine's GPUs or without. Workers start at once."""
    if spec.device == "cuda":
        from tritonrl_core.bench.gpu_program import GpuBench

        return GpuBench(spec, make_cases)
    return LocalBench(spec, make_cases)


class LocalBench:
    """Programs on this machine's CPU. Close it to end its workers.

    With `record_first` a candidate goes through the stages that need no device (record, rules, compile for the target)
    as it does where there is a GPU, and is interpreted only then; without it the interpreter alone decides.
    """

    def __init__(self, spec: BenchSpec, make_cases: MakeCases, *, record_first: bool = True) -> None:
        self.spec = spec
        limits = Limits(
            wall_s=spec.timeout_s, cpu_s=spec.timeout_s + 1, memory_bytes=memory_for(spec.cpu_workers),
            output_bytes=RECORD_BYTES,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._preparation: Preparation | None = None
        self._resources = Resources(
            spec, gpu_for(spec.target), limits, ForkServer(INTERPRET, spec.cpu_workers, spec.worker_preset),
            References(), make_cases, self._prepare, record_first,
        )  # fmt: skip

        if record_first:
            self._prepare()

    def program(self, task: Task, candidate: Candidate) -> LocalProgram:
        """A candidate on this bench; nothing runs yet."""
        return LocalProgram(task, candidate, self._resources)

    def describe(self) -> Mapping[str, str]:
        """Device, target, sandbox and versions. Waits until the workers are warm: the sandbox is asked there."""
        import torch
        import triton

        probe = Task(id="probe", level=1, source=PROBE)
        resources = replace(self._resources, record_first=False)
        result = LocalProgram(probe, Candidate.from_code(""), resources).run(InputCase("probe", 0))
        return {
            "device": "cpu (Triton's interpreter)",
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

    def _prepare(self) -> Preparation:
        """Recorder and compiler: two more kinds of warm process."""
        with self._lock:
            if self._preparation is None:
                self._preparation = Preparation(self.spec, self._resources.gpu, self._resources.make_cases)
            return self._preparation


PROBE = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return x
def get_inputs():
    return [torch.zeros(1)]
def get_init_inputs():
    return []
"""
"""The smallest task: what `describe` sends through the sandbox to learn what it is."""


def memory_for(workers: int) -> int:
    """Memory for one candidate: a share of half the machine's, and no more than 4 GiB."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MOST_MEMORY, machine // 2 // workers)
