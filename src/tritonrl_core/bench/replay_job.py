"""Jobs for the replay worker as bytes: a header in JSON, then the plan and the binaries, encoded once for all cases.

Both ends are ours: the parent has checked the plan against the real limits before it writes it here.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tritonrl_core.bench.compile_request import BuildFailure, CompiledKernel, built_bytes, read_built
from tritonrl_core.bench.plan import LaunchPlan, encode
from tritonrl_core.bench.plan_check import PlanLimits, validate
from tritonrl_core.errors import InfraError
from tritonrl_core.types import InputCase, Policy, Task, TimingProtocol

OUTSIDE = PlanLimits(memory_bytes=1 << 44, constant_bytes=1 << 30, text_bytes=1 << 30)
"""The parent has checked the plan against the real limits."""


@dataclass(frozen=True, slots=True)
class PlanBytes:
    """A plan and its binaries (in the order of its kernels, None where one did not compile), ready to be sent."""

    key: str
    plan: bytes
    built: bytes


@dataclass(frozen=True, slots=True)
class Large:
    """A case beyond `large_cases.LARGE` bytes. `double`: the reference runs in double precision. Else what its error
    was on other cases (`tolerance.OwnError`, by output) stands for its own."""

    double: bool
    elsewhere: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True)
class Job:
    """One plan for one case, with binaries in the order of its kernels. `key` is the plan's and the binaries' own."""

    task: Task
    case: InputCase
    plan: LaunchPlan
    built: Sequence[CompiledKernel | None]
    criterion: str = "default"
    precision: str = "ieee"
    key: str = ""
    pick: int = -1
    """Which alternative of every tuning group to run; -1 leaves it to the clock."""

    large: Large | None = None
    """How a large case is compared; None where the case is not large."""


def plan_bytes(plan: LaunchPlan, built: Sequence[CompiledKernel | None]) -> PlanBytes:
    """Encode a plan and its binaries."""
    binaries = built_bytes([BuildFailure("") if kernel is None else kernel for kernel in built])
    text = encode(plan)
    return PlanBytes(hashlib.sha256(text + binaries).hexdigest(), text, binaries)


def job_bytes(do: str, task: Task, case: InputCase, plan: PlanBytes, criterion: str, precision: str,
              protocol: TimingProtocol | None = None, known: Mapping[str, Any] | None = None,
              pick: int = -1, large: Large | None = None) -> bytes:  # fmt: skip
    """A job for the worker: `do` is `check` or `time`; `known` are the samples of baselines measured before."""
    header = {
        "do": do, "task": asdict(task), "case": asdict(case), "key": plan.key, "criterion": criterion,
        "precision": precision, "protocol": None if protocol is None else asdict(protocol),
        "known": dict(known or {}), "pick": pick, "large": None if large is None else asdict(large),
    }  # fmt: skip
    return _framed(json.dumps(header).encode(), plan.plan, plan.built)


def values_job(task: Task, case: InputCase) -> bytes:
    """A job that asks for a case's values as this device makes them."""
    return _framed(json.dumps({"do": "values", "task": asdict(task), "case": asdict(case)}).encode(), b"", b"")


@dataclass(frozen=True, slots=True)
class Message:
    """A job as it arrived: its header, and the two parts that are read only where they are not known yet."""

    header: Mapping[str, Any]
    plan: bytes
    built: bytes

    @property
    def task(self) -> Task:
        return _task(self.header["task"])

    @property
    def case(self) -> InputCase:
        return InputCase(**self.header["case"])

    @property
    def large(self) -> Large | None:
        data = self.header.get("large")
        return None if data is None else Large(
            data["double"], tuple(None if own is None else (own[0], own[1]) for own in data["elsewhere"])
        )

    @property
    def protocol(self) -> TimingProtocol:
        data = self.header["protocol"]
        return TimingProtocol(**{**data, "baselines": tuple(data["baselines"])})

    def job(self) -> Job:
        """The job with its plan. Raises `InfraError` where something was lost on the way."""
        plan = validate(self.plan, OUTSIDE)
        if not isinstance(plan, LaunchPlan):
            raise InfraError(f"the plan did not survive its way to the worker: {plan.reason}")
        built = read_built(self.built, len(plan.kernels))
        if built is None:
            raise InfraError("the binaries did not survive their way to the worker")
        kernels = [part if isinstance(part, CompiledKernel) else None for part in built]
        return self.job_with(plan, kernels)

    def job_with(self, plan: LaunchPlan, built: Sequence[CompiledKernel | None]) -> Job:
        """The job with a plan that is known already."""
        header = self.header
        how = header["criterion"], header["precision"], header["key"], header["pick"]
        return Job(self.task, self.case, plan, built, *how, large=self.large)


def read(data: bytes) -> Message:
    """Take a job apart."""
    head, plan, built = struct.unpack_from("<QQQ", data)
    start = struct.calcsize("<QQQ")
    parts = []
    for size in (head, plan, built):
        parts.append(data[start : start + size])
        start += size
    return Message(json.loads(parts[0]), parts[1], parts[2])


def _framed(head: bytes, plan: bytes, built: bytes) -> bytes:
    return struct.pack("<QQQ", len(head), len(plan), len(built)) + head + plan + built


def _task(data: Mapping[str, Any]) -> Task:
    policy = {**data["policy"], "forbidden_builtins": tuple(data["policy"]["forbidden_builtins"])}
    tuples = {name: tuple(data[name]) for name in ("dtypes", "mutated_buffers")}
    vary = {name: tuple(values) for name, values in data["vary"].items()}
    return Task(**{**data, **tuples, "policy": Policy(**policy), "vary": vary})
