"""A wrong result told before anything is compiled, on a bench with a GPU: the recorded plan is replayed on the CPU.

Compiling costs several times what a small replay does, and most of a young model's kernels are wrong. What is said here
decides only where no device could think otherwise: an output that is off by far. All else is left to the GPU.
"""

from __future__ import annotations

import logging

from tritonrl_core.bench.interpret import replay as cpu_replay
from tritonrl_core.bench.interpret.replay import Job, Outcome
from tritonrl_core.bench.plan.schema import LaunchPlan, encode
from tritonrl_core.bench.prepare import Recorded, memory_for
from tritonrl_core.bench.processes.forkserver import INTERPRET, ForkServer
from tritonrl_core.bench.references.prepared import References
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import BenchSpec, CaseResult, InputCase, Limits, Stage, Status, Task

log = logging.getLogger(__name__)

MOST_BYTES = 8 << 20
"""Buffers of a plan up to which replaying it on a CPU is cheaper than compiling it."""

MOST_SECONDS = 2.0

BY_FAR = 16.0
"""How many times its allowance a result must be off: values and digits of a GPU are others than a CPU's."""

RECORD_BYTES = 16 << 20


class CpuPreviews:
    """Replays plans on the CPU for a bench that has a GPU. Thread-safe; close it to end its workers."""

    def __init__(self, spec: BenchSpec) -> None:
        self._spec = spec
        self._references = References()
        self._server = ForkServer(INTERPRET, spec.cpu_workers, spec.worker_preset)
        self._limits = Limits(
            wall_s=MOST_SECONDS, cpu_s=MOST_SECONDS + 1, memory_bytes=memory_for(spec.cpu_workers),
            output_bytes=RECORD_BYTES,
        )  # fmt: skip

    def preview(self, task: Task, case: InputCase, recorded: Recorded) -> CaseResult:
        """WRONG where the result is off by far, else PASSED: nothing speaks against it, or it was not tried."""
        outcome = self._replayed(task, case, recorded)
        if outcome is None or not off_by_far(outcome):
            return CaseResult(case, Status.PASSED, Stage.TINY, sandbox=recorded.sandbox)
        compared = outcome.comparison
        return CaseResult(
            case, Status.WRONG, Stage.TINY, f"{outcome.reason} (replayed on a CPU)", sandbox=recorded.sandbox,
            error=None if compared is None else compared.error, worst=None if compared is None else compared.worst,
        )  # fmt: skip

    def _replayed(self, task: Task, case: InputCase, recorded: Recorded) -> Outcome | None:
        """None where it can't be replayed here, or at no small cost."""
        if recorded.for_one_case or buffer_bytes(recorded.plan) > MOST_BYTES:
            return None
        try:
            prepared = self._references.prepare(task, case)
            encoded, precision = encode(recorded.plan), self._spec.precision
            job = Job(task, case, recorded.plan, encoded, prepared, precision=precision, facts=False)
            return cpu_replay.replay(job, self._server, self._limits)
        except (InfraError, TaskError) as error:
            log.debug("%s: no preview: %s", task.id, error)  # the GPU decides anyway
            return None

    def close(self) -> None:
        """End the workers."""
        self._server.close()


def buffer_bytes(plan: LaunchPlan) -> int:
    """What a plan's buffers take together."""
    return sum(buffer.nbytes for buffer in plan.buffers)


def off_by_far(outcome: Outcome) -> bool:
    """Whether a replay's result is wrong on any device: its form, or its values beyond doubt."""
    error = None if outcome.comparison is None else outcome.comparison.error
    return outcome.status is Status.WRONG and (error is None or error > BY_FAR)
