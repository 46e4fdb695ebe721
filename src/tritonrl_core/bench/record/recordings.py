"""Launch plans of candidates, recorded in confined children, each from the text of the candidate and nothing else.

For the trusted side. Together with `binaries` it is all that happens to a candidate before a device is needed.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tritonrl_core.bench.plan.check import PlanLimits
from tritonrl_core.bench.plan.schema import LaunchPlan
from tritonrl_core.bench.processes import wire
from tritonrl_core.bench.processes.forkserver import RECORD, ForkServer, retry_once
from tritonrl_core.bench.record.ahead import Ahead
from tritonrl_core.bench.record.request import (
    Arguments,
    RecordFailure,
    RecordRequest,
    TensorSpec,
    foreign_part,
    job_data,
    read_recording,
    specify,
    split_parts,
    storage_bytes,
    tensor_spec,
)
from tritonrl_core.bench.references.prepared import named_inputs
from tritonrl_core.bench.references.reference import Materials, Reference
from tritonrl_core.bench.targets import GpuProperties
from tritonrl_core.errors import InfraError
from tritonrl_core.types import Candidate, InputCase, Limits, SandboxResult, Stage, Status, Task, content_key


@dataclass(frozen=True, slots=True)
class Recording:
    """A plan or the reason why there is none, the isolation it was made under and how long it took."""

    plan: LaunchPlan | RecordFailure
    sandbox: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Shapes:
    arguments: Arguments
    state: Mapping[str, TensorSpec]
    training: bool


class Recordings:
    """Records candidates. Safe to use from many threads, as many at a time as there are workers."""

    def __init__(self, gpu: GpuProperties, workers: int, limits: Limits, plan_limits: PlanLimits,
                 preset: Mapping[str, Any] | None = None, *, yields: bool = False) -> None:  # fmt: skip
        self.gpu = gpu
        self._limits, self._plan_limits = limits, plan_limits
        self._server = ForkServer(RECORD, workers, preset, yields=yields)
        self._lock = threading.Lock()
        self._shapes: OrderedDict[str, _Shapes] = OrderedDict()
        self._references: OrderedDict[str, Reference] = OrderedDict()
        self._ahead: Ahead[Recording] = Ahead()
        load_shape_rules()

    def first(
        self, task: Task, candidate: Candidate, case: InputCase, others: Sequence[InputCase] = (),
        ahead: Sequence[InputCase] = (),
    ) -> Recording:  # fmt: skip
        """As `record`, but one that was made ahead will do; `ahead` are cases that are likely to be asked for next."""
        known = self._ahead.take(_key(task, candidate, case))
        if known is not None:
            return known
        if not ahead or not self._ahead.pays():
            return self.record(task, candidate, case, others)
        asked = (case, *ahead)
        requests = [self.request(task, candidate, each, others) for each in asked]
        done = wire.memfd("tritonrl-done", b"\0", fixed=False)
        try:
            result = self._run([wire.memfd("tritonrl-record", job_data(requests[0], requests[1:])), os.dup(done)])
            if result.outcome != "ok" and wire.content(done) != b"\0":
                # It ended in what nobody has asked for yet: that case will be judged by a recording of its own.
                return self.record(task, candidate, case, others)
        finally:
            os.close(done)
        parts = split_parts(result.payload) or [result.payload]
        for later, request, part in zip(ahead, requests[1:], parts[1:], strict=False):
            plan = self._read(part, request)
            self._ahead.put(_key(task, candidate, later), Recording(plan, result.sandbox, 0.0))
        plan = self._ended(result) or self._read(parts[0], requests[0])
        return Recording(plan, result.sandbox, result.seconds)

    def record(
        self, task: Task, candidate: Candidate, case: InputCase, others: Sequence[InputCase] = (),
        values: bytes | None = None,
    ) -> Recording:  # fmt: skip
        """Record a candidate for a case; of `others` the first of another shape is called in between.

        `values` (see `RecordRequest`) go along where a first recording said that it needs them. Raises `TaskError` for
        a broken reference, `InfraError` for faults of ours.
        """
        request = self.request(task, candidate, case, others)
        fds = [wire.memfd("tritonrl-record", job_data(request))]
        if values is not None:
            fds.append(wire.memfd("tritonrl-values", values))
        result = self._run(fds)
        plan = self._ended(result) or self._read(result.payload, request)
        return Recording(plan, result.sandbox, result.seconds)

    def _run(self, fds: Sequence[int]) -> SandboxResult:
        """One job; its descriptors are closed afterwards."""
        try:
            return retry_once(lambda: self._server.run(fds, self._limits))
        finally:
            for fd in fds:
                os.close(fd)

    def _read(self, data: bytes, request: RecordRequest) -> LaunchPlan | RecordFailure:
        """What a child sent for a request, checked."""
        plan = read_recording(data, self._plan_limits)
        foreign = foreign_part(plan, request) if isinstance(plan, LaunchPlan) else ""
        return RecordFailure(Status.CHEATED, Stage.RECORD, f"malformed launch plan: {foreign}") if foreign else plan

    def values(self, task: Task, case: InputCase) -> bytes:
        """A case's values as the CPU makes them, for `record`. Raises `TaskError` for a broken reference."""
        with self._lock:
            return case_values(self._reference(task).materialise(case, "cpu"))

    def request(
        self, task: Task, candidate: Candidate, case: InputCase, others: Sequence[InputCase] = ()
    ) -> RecordRequest:
        """What the recording child is told: code and shapes, no values."""
        shapes = self._shapes_of(task, case)
        other = next((item for item in others if item.dims != case.dims), None)
        return RecordRequest(
            code=candidate.code,
            arguments=shapes.arguments,
            state=shapes.state,
            gpu=self.gpu,
            training=shapes.training if task.mode != "as_is" else None,
            dtype=case.dtype,
            other=None if other is None else self._shapes_of(task, other).arguments,
            forbidden=task.policy.forbidden_builtins,
        )

    def sandbox(self) -> str:
        """The isolation that recordings are made under, as a recording of nothing says."""
        fd = wire.memfd("tritonrl-record", b"{}")
        try:
            return retry_once(lambda: self._server.run([fd], self._limits)).sandbox
        finally:
            os.close(fd)

    def close(self) -> None:
        self._server.close()

    def _ended(self, result: SandboxResult) -> RecordFailure | None:
        """What the way a child ended says, where it gave no answer."""
        match result.outcome:
            case "ok":
                return None
            case "timeout":
                return RecordFailure(Status.TIMEOUT, Stage.RECORD, f"its Python took too long: {result.detail}")
            case "memory":
                return RecordFailure(
                    Status.RUNTIME_ERROR, Stage.RECORD, f"its Python ran out of memory: {result.detail}"
                )
            case "output":
                return RecordFailure(Status.UNSUPPORTED, Stage.RECORD, f"its launch plan is too large: {result.detail}")
            case "refused":
                raise InfraError(f"the sandbox refused to run: {result.detail}", remedy="See `tritonrl doctor`.")
        return RecordFailure(Status.RUNTIME_ERROR, Stage.RECORD, f"its process ended: {result.detail}")

    def _shapes_of(self, task: Task, case: InputCase) -> _Shapes:
        key = content_key(task.key, case.signature)
        with self._lock:
            known = self._shapes.get(key)
            if known is None:
                known = self._shapes[key] = _shapes(self._materials(task, case))
                if len(self._shapes) > 4096:
                    self._shapes.popitem(last=False)
            return known

    def _materials(self, task: Task, case: InputCase) -> Materials:
        """Materials without memory where the reference can be made so, real ones where it needs values."""
        reference, plain = self._reference(task), replace(case, distribution="normal")
        try:
            return reference.materialise(plain, "meta")
        except Exception:  # noqa: BLE001 - any operator may lack a form without memory; the real one decides
            return reference.materialise(plain, "cpu")

    def _reference(self, task: Task) -> Reference:
        if task.key not in self._references:
            self._references[task.key] = Reference(task)
            if len(self._references) > 256:
                self._references.popitem(last=False)
        return self._references[task.key]


def load_shape_rules() -> None:
    """Let torch load what it makes tensors without memory by (sympy among it: a third of a second of its first use).

    Called while the workers start, so that no candidate waits for it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.randn(1, device="meta")


def _key(task: Task, candidate: Candidate, case: InputCase) -> str:
    return content_key(task.key, candidate.code, case.signature)


def case_values(materials: Materials) -> bytes:
    """The values of a case's inputs, constructor arguments and state, in the order that a recording reads them."""
    tensors = [*named_inputs(materials.inputs).values(), *named_inputs(materials.init_inputs).values()]
    return storage_bytes([*tensors, *materials.state.values()])


def _shapes(materials: Materials) -> _Shapes:
    arguments = Arguments(tuple(specify(materials.init_inputs)), tuple(specify(materials.inputs)))
    state = {name: tensor_spec(tensor) for name, tensor in materials.state.items() if isinstance(tensor, torch.Tensor)}
    return _Shapes(arguments, state, materials.model.training)
