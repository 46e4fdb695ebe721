"""What a replay worker's answer means: the result of a case, or the times that were taken.

The words of a verdict that came from a GPU, and whose fault it is where there is none. No worker is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonrl_core.bench.prepare import Ready, Stop
from tritonrl_core.bench.replay.pool import Answer
from tritonrl_core.bench.timing.facts import no_double_form
from tritonrl_core.bench.timing.speed import timing_of, went_wrong
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import CaseResult, InputCase, Stage, Status, Timing, TimingProtocol, WorstElement


def stopped(case: InputCase, stop: Stop) -> CaseResult:
    """The result of a candidate that did not get as far as the GPU."""
    return CaseResult(case, stop.status, stop.stage, stop.reason, sandbox=stop.sandbox)


def result_of(case: InputCase, prepared: Ready, answer: Answer, known: Mapping[str, Any]) -> CaseResult:
    """The result of a check; `known` are the facts of plan and binaries.

    Raises `TaskError` for a broken reference, `InfraError` for faults of ours.
    """
    data = answer.data
    if answer.outcome == "died":
        raise InfraError(f"the replay worker died twice: {answer.detail}")
    if "task_error" in data:
        raise TaskError(data["task_error"], remedy=data["remedy"])
    if "infra" in data:
        raise InfraError(data["infra"])
    fault = _fault(answer)
    if fault is not None:
        return CaseResult(case, *fault, sandbox=prepared.sandbox)
    if "memory" in data:
        raise InfraError(f"the GPU ran out of memory: {data['memory']}", remedy="Set verifier.gpu_memory lower.")
    facts = {**known, **data["facts"], "stage_seconds": data["seconds"]}
    facts |= {"mismatch": data["mismatch"]} if data["mismatch"] else {}
    if data.get("withheld_right"):
        facts["right_without_launches"] = True
    return CaseResult(
        case, Status(data["status"]), Stage.FULL, data["reason"], sandbox=prepared.sandbox, error=data["error"],
        worst=_worst(data["worst"]), facts=facts,
        unchecked=(no_double_form(data["no_double"]),) if data.get("no_double") else (),
    )  # fmt: skip


def _fault(answer: Answer) -> tuple[Status, Stage, str] | None:
    """What a candidate that a worker was lost with did; None where none was."""
    if answer.outcome == "timeout":
        return Status.TIMEOUT, Stage.FULL, f"{answer.detail} (verifier.timeout_s)"
    if answer.outcome == "fault":
        return Status.RUNTIME_ERROR, Stage.FULL, f"on the GPU: {answer.detail}"
    return None


def _worst(data: Mapping[str, Any] | None) -> WorstElement | None:
    return None if data is None else WorstElement(**{**data, "index": tuple(data["index"])})


def times_of(answer: Answer, protocol: TimingProtocol, device: str, wall_us: float | None) -> Timing:
    """What was timed; `wall_us` is the baseline's time by the host's clock, where it was taken before.

    Raises `InfraError` where it could not be measured.
    """
    if answer.outcome == "fault" and answer.data.get("fault") != "ours":
        reason = f"on the GPU, while it was timed: {answer.detail}"
        return went_wrong(Status.RUNTIME_ERROR, reason, protocol, device)
    if answer.outcome != "ok" or "candidate_us" not in answer.data:
        said = (answer.data.get(name) for name in ("infra", "task_error", "memory"))
        raise InfraError(f"timing failed: {next(filter(None, said), f'{answer.outcome} {answer.detail}')}")
    data = dict(answer.data)
    if data["status"] != Status.PASSED:
        return went_wrong(Status(data["status"]), data["reason"], protocol, device)
    data["facts"]["eager_wall_us"] = data["facts"].get("eager_wall_us") or wall_us
    data["facts"] |= {"worker_s": round(data["worker_seconds"], 4), "turn_s": round(data["turn_seconds"], 4)}
    return timing_of(data, protocol, device)
