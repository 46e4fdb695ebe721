"""Whether a run did right: outputs, inputs, parameters and guard zones as it left them, against the answers.

For the replay worker. Nothing is run here, and what an output may be off by is `tolerance`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from tritonrl_core.bench.outputs.allowance import own_error
from tritonrl_core.bench.outputs.glance import plainly_right, worst_elements
from tritonrl_core.bench.outputs.tolerance import Comparison, compare
from tritonrl_core.bench.replay.cases import differences, differing
from tritonrl_core.bench.replay.job import Job
from tritonrl_core.bench.replay.kept_cases import Answers
from tritonrl_core.bench.replay.replayer import Placed
from tritonrl_core.types import Stage, Status

Tensors = list[torch.Tensor]
Nearby = Callable[[], list[Tensors]]


@dataclass(frozen=True)
class Left:
    """What a run left behind, and what it must have left. `outside`: whether a guard zone was written to, still on the
    device."""

    job: Job
    placed: Placed
    got: Tensors
    answers: Answers
    outside: torch.Tensor

    def pairs(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and parameters after the run and before, by name, but for inputs that the reference changes."""
        plan, answers = self.job.plan, self.answers
        inputs = zip(plan.inputs, answers.inputs.items(), strict=True)
        now = {name: self.placed.tensor(ref) for ref, (name, _) in inputs if name not in answers.after}
        now |= {f"parameter {name}": self.placed.tensor(ref) for name, ref in plan.parameters.items()}
        before = {**answers.inputs, **{f"parameter {name}": value for name, value in answers.state.items()}}
        return {name: (value, before[name].to(value.dtype)) for name, value in now.items()}


def plainly(left: Left) -> dict[str, Any] | None:
    """What `closely` would find where all is plainly right, waiting for the device once; None where it is not, or where
    that takes a closer look."""
    asked = question(left)
    return None if asked is None else plain_answer(left.answers, asked.tolist())


def question(left: Left) -> torch.Tensor | None:
    """What tells whether all is plainly right, as numbers that are still on the device; None where nothing does."""
    job, answers = left.job, left.answers
    if job.criterion != "default" or job.large or any(name in answers.after for name in answers.inputs):
        return None
    numbers = worst_elements(left.got, answers.exact, answers.native, job.task.tolerance, job.precision)
    flags = [left.outside, *differences(list(left.pairs().values()))]
    if numbers is None or any(flag is True for flag in flags):
        return None
    asked = torch.stack([flag for flag in flags if isinstance(flag, torch.Tensor)])
    return torch.cat([numbers, asked.any().double().reshape(1)])


def plain_answer(answers: Answers, found: list[float]) -> dict[str, Any] | None:
    """A result's fields by the numbers that a `question` gave, fetched; None where it is not plainly right."""
    *numbers, disturbed = found
    compared = None if disturbed else plainly_right(numbers, answers.native)
    if compared is None:
        return None
    return {**fields(compared), "own_error": [], "no_double": answers.no_double}


def closely(left: Left, nearby: Nearby) -> dict[str, Any]:
    """The verdict in full, one question after the other. `nearby` as for `tolerance.compare`."""
    job, answers = left.job, left.answers
    if left.outside:
        outside = "a kernel stored outside its tensors: memory beside them was written to; is a mask missing?"
        return {**fields(Comparison(False, None, reason=outside)), "status": Status.RUNTIME_ERROR}
    behind = left_behind(left)
    if not behind.ok:
        return fields(behind)
    compared = compare(
        left.got, answers.exact, answers.native, job.task, job.case,
        criterion=job.criterion, precision=job.precision, nearby=nearby,
        elsewhere=job.large.elsewhere if job.large else (), inputs=list(answers.inputs.values()),
    )  # fmt: skip
    own = [own_error(*pair) for pair in zip(answers.exact, answers.native, strict=True)] if job.large else []
    return {**fields(compared), "own_error": own, "no_double": answers.no_double}


def left_behind(left: Left) -> Comparison:
    """Whether inputs and parameters are as the run must leave them: as they were, but for what the reference changes.

    An input that the reference changes must be changed likewise. A parameter that it changes may be left alone.
    """
    job, after, pairs = left.job, left.answers.after, left.pairs()
    now = {name: value for name, (value, _) in pairs.items()}
    changed = [name for name, differs in zip(pairs, differing(list(pairs.values())), strict=True) if differs]
    wrong = [name for name in changed if name not in after]
    if wrong:
        names = ", ".join(wrong).replace("input ", "its input ", 1)
        return Comparison(False, None, reason=f"changed {names}, which the reference leaves alone")
    for name in changed:
        compared = _compare_left([now[name]], [after[name].to(now[name].dtype)], job.precision)
        if not compared.ok:
            return replace(compared, reason=f"{name}, which it changes: {compared.reason}")
    refs = zip(job.plan.inputs, left.answers.inputs, strict=True)
    mine = {name: left.placed.tensor(ref) for ref, name in refs if name in after}
    compared = _compare_left(list(mine.values()), [after[name] for name in mine], job.precision)
    return compared if compared.ok else replace(compared, reason=f"the input it changes: {compared.reason}")


def _compare_left(got: Tensors, expected: Tensors, precision: str) -> Comparison:
    return compare(got, expected, expected, precision=precision)


def fields(compared: Comparison) -> dict[str, Any]:
    """A comparison as fields of a case's result."""
    status = Status.PASSED if compared.ok else Status.WRONG
    worst = None if compared.worst is None else asdict(compared.worst)
    found = {"status": status, "stage": Stage.FULL, "reason": compared.reason, "error": compared.error, "worst": worst}
    return {**found, "mismatch": dict(compared.facts)}
