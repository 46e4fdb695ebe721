"""Jobs for the replay worker as bytes: a header in JSON, then plans and binaries, encoded once for all cases.

Both ends are ours: the parent has checked the plan against the real limits before it writes it here.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tritonrl_core.bench.compile.request import BuildFailure, CompiledKernel, built_bytes, read_built
from tritonrl_core.bench.plan.check import PlanLimits, validate
from tritonrl_core.bench.plan.schema import LaunchPlan, encode
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


ReadPlan = tuple[LaunchPlan, Sequence[CompiledKernel | None]]
"""A plan and its binaries, as a worker reads them."""


@dataclass(frozen=True, slots=True)
class Large:
    """A case beyond `large_cases.LARGE` bytes. `double`: the reference runs in double precision. Else what its error
    was on other cases (`allowance.OwnError`, by output) stands for its own."""

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
        "do": do, "criterion": criterion, "protocol": None if protocol is None else asdict(protocol),
        "known": dict(known or {}), "pick": pick, "large": None if large is None else asdict(large),
    }  # fmt: skip
    return _message(header, task, [(case, plan)], precision)


def together_bytes(task: Task, parts: Sequence[tuple[InputCase, PlanBytes]], precision: str) -> bytes:
    """A job that checks several cases of one candidate at once (`replay.together`)."""
    header = {"do": "together", "criterion": "default", "pick": -1, "large": None}
    return _message(header, task, parts, precision)


def values_job(task: Task, case: InputCase) -> bytes:
    """A job that asks for a case's values as this device makes them."""
    return _framed(json.dumps({"do": "values", "task": asdict(task), "cases": [(asdict(case), -1)]}).encode())


@dataclass(frozen=True, slots=True)
class Message:
    """A job as it arrived: its header, and its plans, which are read only where they are not known yet."""

    header: Mapping[str, Any]
    plans: tuple[PlanBytes, ...]

    @property
    def task(self) -> Task:
        return _task(self.header["task"])

    @property
    def cases(self) -> list[InputCase]:
        return [InputCase(**data) for data, _ in self.header["cases"]]

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

    def jobs(self, known: Callable[[str], ReadPlan | None]) -> list[Job]:
        """One job for each case. `known` gives a plan that was read before, by its key.

        Raises `InfraError` where something was lost on the way.
        """
        plans = [known(one.key) or _read(one) for one in self.plans]
        task, header, large = self.task, self.header, self.large
        jobs = []
        for case, (_, number) in zip(self.cases, header["cases"], strict=True):
            plan, built = plans[number]
            how = header["criterion"], header["precision"], self.plans[number].key, header["pick"]
            jobs.append(Job(task, case, plan, built, *how, large=large))
        return jobs


def _read(sent: PlanBytes) -> ReadPlan:
    plan = validate(sent.plan, OUTSIDE)
    if not isinstance(plan, LaunchPlan):
        raise InfraError(f"the plan did not survive its way to the worker: {plan.reason}")
    built = read_built(sent.built, len(plan.kernels))
    if built is None:
        raise InfraError("the binaries did not survive their way to the worker")
    return plan, [part if isinstance(part, CompiledKernel) else None for part in built]


def read(data: bytes) -> Message:
    """Take a job apart."""
    (count,) = struct.unpack_from("<Q", data)
    sizes = struct.unpack_from(f"<{count}Q", data, 8)
    parts, start = [], 8 + 8 * count
    for size in sizes:
        parts.append(data[start : start + size])
        start += size
    header = json.loads(parts[0])
    plans = zip(header.get("keys", ()), parts[1::2], parts[2::2], strict=True)
    return Message(header, tuple(PlanBytes(*plan) for plan in plans))


def _message(
    header: Mapping[str, Any], task: Task, parts: Sequence[tuple[InputCase, PlanBytes]], precision: str
) -> bytes:
    """Each plan once, however many cases it is for."""
    plans = {plan.key: plan for _, plan in parts}
    number = {key: place for place, key in enumerate(plans)}
    cases = [(asdict(case), number[plan.key]) for case, plan in parts]
    whole = {**header, "task": asdict(task), "cases": cases, "keys": list(plans), "precision": precision}
    return _framed(json.dumps(whole).encode(), *(part for plan in plans.values() for part in (plan.plan, plan.built)))


def _framed(*parts: bytes) -> bytes:
    return struct.pack(f"<{len(parts) + 1}Q", len(parts), *map(len, parts)) + b"".join(parts)


def _task(data: Mapping[str, Any]) -> Task:
    policy = {**data["policy"], "forbidden_builtins": tuple(data["policy"]["forbidden_builtins"])}
    tuples = {name: tuple(data[name]) for name in ("dtypes", "mutated_buffers")}
    vary = {name: tuple(values) for name, values in data["vary"].items()}
    return Task(**{**data, **tuples, "policy": Policy(**policy), "vary": vary})
