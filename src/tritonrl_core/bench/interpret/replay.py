"""One replay of a plan on the CPU, and what it comes to: shared memory made and filled, a child's job, the comparison.

For the trusted parent. No Python of the candidate's runs in the child either; outputs are looked at when it is dead.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch

from tritonrl_core.bench.interpret.memory import POISONS, Arena
from tritonrl_core.bench.outputs.mismatch import shape_facts
from tritonrl_core.bench.outputs.tolerance import Comparison, compare, mismatch
from tritonrl_core.bench.outputs.yardstick import measured
from tritonrl_core.bench.plan.schema import LaunchPlan, TensorRef
from tritonrl_core.bench.processes import report, wire
from tritonrl_core.bench.processes.forkserver import ForkServer, retry_once
from tritonrl_core.bench.record.request import split_parts
from tritonrl_core.bench.references.prepared import Prepared, named_inputs, raw_bytes, same_bits
from tritonrl_core.bench.timing.facts import has_atomics
from tritonrl_core.bench.walk import MaterialsDifferError, fill, given_by
from tritonrl_core.errors import InfraError
from tritonrl_core.types import InputCase, Limits, SandboxResult, Status, Task


@dataclass(frozen=True)
class Job:
    """One plan for one case. `encoded` is the plan as bytes; `pick` the alternative of each tuning group; programs run
    from first to last or, of half of the cases and with `other_order` of the other half, from last to first. `facts`:
    whether anybody wants to know where a wrong output is wrong."""

    task: Task
    case: InputCase
    plan: LaunchPlan
    encoded: bytes
    prepared: Prepared
    criterion: str = "default"
    precision: str = "ieee"
    pick: int = 0
    other_order: bool = False
    facts: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a replay ended: `status` with its reason, what was compared, and what the launches moved. `digest` is of the
    outputs' bits, where programs may meet in memory."""

    status: Status
    reason: str = ""
    comparison: Comparison | None = None
    launches: tuple[Mapping[str, Any], ...] = ()
    libdevice: tuple[str, ...] = ()
    sandbox: str = "none"
    digest: str = ""


def replay(job: Job, server: ForkServer, limits: Limits, *, launches: bool = True, poison: int = POISONS[0]) -> Outcome:
    """Replay a plan and judge what it left; without `launches` no kernel runs. Raises `InfraError`."""
    return retry_once(lambda: _attempt([job], server, limits, launches, poison))[0]


def replay_together(jobs: Sequence[Job], server: ForkServer, limits: Limits) -> list[Outcome]:
    """Replay one plan on several cases in one child, because the fork around a replay costs more than the replay.

    Gives the outcomes of the first of them or of all: a child that ends in a later case says nothing of it that would
    not be said better by a child of its own. Raises `InfraError`.
    """
    room = limits.memory_bytes * 3 // 4
    fit = sum(buffer.nbytes for buffer in jobs[0].plan.buffers) * len(jobs) <= room
    told = retry_once(lambda: _attempt(jobs if fit else jobs[:1], server, limits, True, POISONS[0]))
    return told or [replay(jobs[0], server, limits)]


def right_without_launches(job: Job, server: ForkServer, limits: Limits) -> bool:
    """Whether the output is right, under both poisons, when no kernel runs."""
    return all(replay(job, server, limits, launches=False, poison=poison).status is Status.PASSED for poison in POISONS)


def _attempt(jobs: Sequence[Job], server: ForkServer, limits: Limits, launches: bool, poison: int) -> list[Outcome]:
    """Everything is made anew, because a lost worker may have changed it."""
    too_large = _too_large(jobs[0], limits.memory_bytes * 3 // 4)
    if too_large is not None:
        return [too_large]
    requests = [
        {"seed": job.case.seed, "pick": job.pick, "launches": launches, "backwards": backwards(job)} for job in jobs
    ]
    with ExitStack() as stack:
        arenas = [stack.enter_context(Arena(job.plan, poison)) for job in jobs]
        for job, arena in zip(jobs, arenas, strict=True):
            _fill(job, arena)
        data = (
            wire.memfd("tritonrl-request", json.dumps(requests).encode()),
            wire.memfd("tritonrl-plan", jobs[0].encoded),
        )
        try:
            result = server.run([*data, *(arena.fd for arena in arenas)], limits)
        finally:
            for fd in data:
                os.close(fd)
        return [replace(outcome, sandbox=result.sandbox) for outcome in _outcomes(jobs, arenas, result)]


def _fill(job: Job, arena: Arena) -> None:
    try:
        fill(job.plan, given_by(job.prepared.materials), arena.tensor, arena.raw)
    except MaterialsDifferError as error:
        raise InfraError(f"the plan was recorded for other inputs: {error}") from error


def _outcomes(jobs: Sequence[Job], arenas: Sequence[Arena], result: SandboxResult) -> list[Outcome]:
    """One outcome a job, or the first one's, or none where it is not known which of several a child ended in."""
    if result.outcome == "ok":
        parts = split_parts(result.payload)
        if len(parts) != len(jobs):
            raise InfraError(f"the process that carried out a plan answered {len(parts)} times for {len(jobs)} cases")
        return [_judged(job, arena, part) for job, arena, part in zip(jobs, arenas, parts, strict=True)]
    if len(jobs) > 1 and (result.outcome == "output" or any(arena.progress() for arena in arenas[1:])):
        return []
    return [_ended(result, arenas[0].progress())]


def backwards(job: Job) -> bool:
    """Whether programs run from last to first."""
    return bool(job.case.seed % 2) != job.other_order


def _too_large(job: Job, most: int) -> Outcome | None:
    """The candidate's own out-of-memory: more buffers than are lent. Raises `InfraError` for too large a case."""
    given = sum(buffer.nbytes for buffer in job.plan.buffers if buffer.role in ("input", "parameter"))
    total = sum(buffer.nbytes for buffer in job.plan.buffers)
    if given > most:
        raise InfraError(
            f"one case needs {given / 2**30:.1f} GiB of inputs, the CPU bench lends {most / 2**30:.1f}",
            remedy="Use smaller dimensions on the CPU.",
        )
    if total <= most:
        return None
    reason = f"out of memory: its buffers need {total / 2**30:.1f} GiB, the CPU bench lends {most / 2**30:.1f}"
    return Outcome(Status.RUNTIME_ERROR, reason)


def _judged(job: Job, arena: Arena, payload: bytes) -> Outcome:
    try:
        record = report.read(payload)
        if any(launch["kernel"] >= len(job.plan.kernels) for launch in record.launches):
            raise report.UnreadableError("the process that carried out the plan reports a kernel that is not in it")
    except report.UnreadableError as error:
        raise InfraError(str(error)) from error
    if record.status is not None:
        return Outcome(record.status, record.reason, None, record.launches, record.libdevice)
    comparison = _compared(job, arena)
    status = Status.PASSED if comparison.ok else Status.WRONG
    digest = _digest(job, arena) if comparison.ok and has_atomics(job.plan) else ""
    return Outcome(status, comparison.reason, comparison, record.launches, record.libdevice, digest=digest)


def _digest(job: Job, arena: Arena) -> str:
    tensors = [arena.tensor(out) for out in job.plan.outputs if isinstance(out, TensorRef)]
    return hashlib.sha256(b"".join(bytes(raw_bytes(tensor).numpy().data) for tensor in tensors)).hexdigest()


def _ended(result: SandboxResult, line: int) -> Outcome:
    """What the way a child ended says that gave no record."""
    where = f", at line {line}" if line else ""
    match result.outcome:
        case "timeout":
            return Outcome(Status.TIMEOUT, f"{report.clean(result.detail)} (verifier.timeout_s){where}")
        case "memory":
            return Outcome(Status.RUNTIME_ERROR, f"out of memory: {report.clean(result.detail)}{where}")
        case "died":
            reason = f"the process that carried it out ended: {report.clean(result.detail)}{where}"
            return Outcome(Status.RUNTIME_ERROR, reason)
        case "output":
            raise InfraError(f"a replay's record is too long: {result.detail}")
    raise InfraError(f"the sandbox refused to run: {result.detail}", remedy="See `tritonrl doctor`.")


def _compared(job: Job, arena: Arena) -> Comparison:
    """Outputs against the reference's; before that, what must not have changed."""
    if not arena.guards_hold():
        return Comparison(False, None, reason="memory beside its tensors was written to")
    now, before = _tensors(job, arena)
    changed = [name for name in now if not same_bits(now[name], before[name])]
    after = job.prepared.after if changed else {}
    wrong = [name for name in changed if name not in after]
    if wrong:
        names = ", ".join(wrong).replace("input ", "its input ", 1)
        return Comparison(False, None, reason=f"changed {names}, which the reference leaves alone")
    left = _left_behind(job, now, changed)
    if not left.ok:
        return left
    got = [arena.tensor(out) if isinstance(out, TensorRef) else torch.tensor(out) for out in job.plan.outputs]
    shapes = [(tuple(output.shape), output.dtype) for output in got]
    differs = mismatch(shapes, job.prepared.wanted)
    if differs:
        facts = shape_facts([shape for shape, _ in shapes], [shape for shape, _ in job.prepared.wanted])
        return Comparison(False, None, reason=differs, facts=facts)
    exact, native = job.prepared.exact, job.prepared.native
    told = None
    if job.criterion == "default":
        told = measured(got, job.prepared.yardsticks(job.precision), facts=job.facts)
    return told or compare(
        got, exact, native, job.task, job.case, criterion=job.criterion, precision=job.precision,
        nearby=job.prepared.nearby, inputs=list(named_inputs(job.prepared.materials.inputs).values()),
    )  # fmt: skip


def _tensors(job: Job, arena: Arena) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Inputs and parameters by name, as they are now and as they were."""
    named, state = named_inputs(job.prepared.materials.inputs), job.prepared.materials.state
    now = {name: arena.tensor(ref) for name, ref in zip(named, job.plan.inputs, strict=True)}
    before = dict(named)
    for name, ref in job.plan.parameters.items():
        now[f"parameter {name}"] = arena.tensor(ref)
        before[f"parameter {name}"] = state[name].to(now[f"parameter {name}"].dtype)
    return now, before


def _left_behind(job: Job, now: Mapping[str, torch.Tensor], changed: Sequence[str]) -> Comparison:
    """Whether what the reference changes is left as it leaves it; a parameter may also be left alone."""
    after = {name: value for name, value in job.prepared.after.items() if name in now}
    for name, value in after.items():
        if name.startswith("input") or name in changed:
            left = [value.to(now[name].dtype)]
            compared = compare([now[name]], left, left, precision=job.precision)
            if not compared.ok:
                what = "the input it changes" if name.startswith("input") else f"{name}, which it changes"
                return replace(compared, reason=f"{what}: {compared.reason}")
    return Comparison(True, 0.0)
