"""Whether a task is fit to judge with: can a kernel that did not do the work be told from one that did?

A task is examined once, on the device at hand, and the result is kept by the task's content. It says nothing about how
hard or useful a task is (see `facts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tritonrl_core.bench.outputs.tolerance import compare
from tritonrl_core.bench.references.reference import Materials, Reference, map_tensors
from tritonrl_core.errors import TaskError
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.memo import kept
from tritonrl_core.tasks.shrink import affordable
from tritonrl_core.types import CaseRequest, Task

OFF = 1.1
"""A result that is off by this factor must not pass; where it does, the tolerance means nothing."""

CPU_FLOPS, CPU_BYTES = 1e8, 8e6
"""The most that one run of a reference may need on a CPU; larger tasks are examined at a smaller size."""

VARIED = CaseRequest(count=6, shapes=True, values=True, dtypes=True, layouts=True)
"""The variations that the reference must run under, beside what it declares none of."""


@dataclass(frozen=True, slots=True)
class Examination:
    """`reason` says why a task is unfit ("" where it is fit). `notes` are what a verdict on it cannot see.

    `own_error` is the reference's own worst error against double precision, relative to its output's magnitude.
    """

    fit: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    own_error: float | None = None


def examine(task: Task, device: str = "cpu") -> Examination:
    """Examine a task, or recall its examination. A reference that does not run is unfit, with what it raised."""
    found = kept("fitness").recall(f"{task.key}/{device}", lambda: asdict(examination(task, device)))
    return Examination(**{**found, "notes": tuple(found["notes"])})


def examination(task: Task, device: str) -> Examination:
    """Examine a task now, whatever is known of it. See `examine`."""
    try:
        sized = affordable(task, CPU_FLOPS, CPU_BYTES) if device == "cpu" else task
        if sized is None:
            return Examination(True, notes=("not examined: too large for this machine's CPU",))
        subject = _Subject(sized, device)
        notes = [*subject.notes()]
        reason = next(subject.faults(), "")
        return Examination(not reason, reason, tuple(notes), subject.own_error())
    except TaskError as error:
        return Examination(False, error.message)


class _Subject:
    """A task under examination: two draws of inputs and parameters, and what the reference makes of the first."""

    def __init__(self, task: Task, device: str) -> None:
        self.task = task
        self.device = device
        self.reference = Reference(task)
        self.case, other = make_cases(task, CaseRequest(count=2))
        self.first = self.reference.materialise(self.case, device)
        self.second = self.reference.materialise(other, device)
        self.exact = self.first.expected("fp64")
        self.native = self.first.expected()

    def faults(self) -> Iterator[str]:
        """Reasons why the task is unfit, the plainest first."""
        yield from self._output()
        yield from self._repeatable()
        yield from self._dependence()
        yield from self._canaries()
        yield from self._variations()

    def notes(self) -> Iterator[str]:
        if self.first.fp64_fallback:
            yield f"no double-precision reference: {self.first.fp64_fallback}"
        if self.task.mode != "eval" and self.task.mutated_buffers:
            yield f"the reference changes its buffers {', '.join(self.task.mutated_buffers)}"
        yield from self._idle_parameters()

    def own_error(self) -> float | None:
        """Worst error of the reference itself, relative to the root mean square of the output."""
        worst = None
        for exact, native in zip(self.exact, self.native, strict=True):
            if native.is_floating_point() and exact.dtype == torch.float64 and native.numel():
                scale = exact.square().mean().sqrt().clamp(min=1e-300)
                error = ((native.double() - exact).abs() / scale).nan_to_num(0.0, 0.0, 0.0)
                worst = max(worst or 0.0, float(error.max()))
        return worst

    def passes(self, got: Sequence[Tensor]) -> bool:
        return compare(got, self.exact, self.native, self.task, self.case).ok

    def _output(self) -> Iterator[str]:
        if not self.native or not any(output.numel() for output in self.native):
            yield "it has no output"
        for number, output in enumerate(self.native):
            if output.is_floating_point() and not bool(torch.isfinite(output).any()):
                yield f"output {number} is nowhere finite"

    def _repeatable(self) -> Iterator[str]:
        """Another state of the random generators must not matter."""
        again = replace(self.first, case=replace(self.case, seed=self.case.seed + 1))
        if not self.passes(again.expected()):
            yield "two runs on the same inputs disagree (dropout in training mode, or another random operator?)"

    def _dependence(self) -> Iterator[str]:
        both = self._run(self.first, self.second.inputs)
        if self.passes(both):
            yield "the output is the same for other inputs"
        for number in range(len(self.first.inputs)):
            if not _has_tensor(self.first.inputs[number]):
                continue
            inputs = [*self.first.inputs]
            inputs[number] = self.second.inputs[number]
            if self.passes(self._run(self.first, inputs)):
                yield f"the output does not depend on input {number}"
        if list(self.first.model.parameters()) and self.passes(self._run(self.second, self.first.inputs)):
            yield "the output does not depend on the parameters"

    def _canaries(self) -> Iterator[str]:
        """Outputs that took no work must not pass."""
        if self.passes([torch.zeros_like(output) for output in self.native]):
            yield "zeros pass"
        if max(output.numel() for output in self.native) > 1 and self.passes([_mean(output) for output in self.native]):
            yield "a tensor filled with the output's mean passes"
        for number, tensor in enumerate(_tensors(self.first.inputs)):
            copied = [tensor.to(output.dtype) if tensor.shape == output.shape else output for output in self.native]
            if any(tensor.shape == output.shape for output in self.native) and self.passes(copied):
                yield f"a copy of input {number} passes"
        inexact = [output * OFF if output.is_floating_point() else output for output in self.native]
        if any(output.is_floating_point() for output in self.native) and self.passes(inexact):
            yield f"a result that is off by {OFF - 1:.0%} passes: the reference is too inexact to compare with"

    def _variations(self) -> Iterator[str]:
        """Everything that is declared variable must run."""
        for case in make_cases(self.task, VARIED):
            try:
                outputs = self.reference.materialise(case, self.device).expected()
            except TaskError as error:
                yield f"it does not run with {case.name}: {error.message}"
                continue
            if case.distribution != "infinities" and _nowhere_a_number(outputs):
                yield f"its output is nowhere a number with {case.name}"

    def _idle_parameters(self) -> Iterator[str]:
        """Parameters that could be left out: one that only a normalisation behind it takes away again, say."""
        own = dict(self.first.model.named_parameters())
        for name, other in self.second.model.named_parameters():
            kept = own[name].detach().clone()
            with torch.no_grad():
                own[name].copy_(other)
                idle = self.passes(self._run(self.first, self.first.inputs))
                own[name].copy_(kept)
            if idle:
                yield f"parameter {name} does not show in the output"

    def _run(self, materials: Materials, inputs: list[Any]) -> list[Tensor]:
        return replace(materials, inputs=inputs, case=self.case).expected()


def _mean(output: Tensor) -> Tensor:
    if not output.is_floating_point():
        return torch.full_like(output, int(output.double().mean().round()))
    finite = output[torch.isfinite(output)]
    return torch.full_like(output, float(finite.double().mean()) if finite.numel() else 0.0)


def _nowhere_a_number(outputs: Sequence[Tensor]) -> bool:
    return any(output.is_floating_point() and output.numel() and bool(torch.isnan(output).all()) for output in outputs)


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    map_tensors(list(values), found.append)
    return found


def _has_tensor(value: Any) -> bool:
    return bool(_tensors([value]))
