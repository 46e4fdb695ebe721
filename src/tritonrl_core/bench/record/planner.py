"""From what a recording saw to a launch plan: one run of `forward`, with the earlier work that it rests on.

A plan must stand alone: the run's steps, and before them as much of `__init__` (and of a first call that packed
weights) as the run reads. Data of an earlier call's inputs may not be among it. Runs in the recording child.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.plan.flow import access, joined
from tritonrl_core.bench.plan.schema import (
    AtenCall,
    Buffer,
    Launch,
    LaunchPlan,
    Note,
    Step,
    TensorRef,
    Tune,
    tensors_in,
)
from tritonrl_core.bench.record.trace import Trace

Output = TensorRef | int | float | bool


@dataclass
class Run:
    """One call of `forward` as recorded: its inputs, outputs and steps, with the trace's buffer numbers."""

    name: str
    inputs: tuple[TensorRef, ...]
    outputs: tuple[Output, ...]
    steps: list[Step]
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True)
class Bound:
    """The reference's parameters as found in the candidate: name → tensor."""

    parameters: Mapping[str, TensorRef]

    @property
    def buffers(self) -> dict[int, str]:
        return {ref.buffer: name for name, ref in self.parameters.items()}


class CarriedDataError(Exception):
    """A run rests on data of an earlier call's inputs. `line` is where that data was made."""

    def __init__(self, line: int) -> None:
        super().__init__("forward keeps data of one call's inputs for the next")
        self.line = line


class UnknownContentError(Exception):
    """A run reads random data that `__init__` made and that matches no parameter of the reference."""

    def __init__(self, buffer: int, shape: tuple[int, ...], line: int) -> None:
        super().__init__(f"a parameter of shape {list(shape)} matches none of the reference's")
        self.buffer = buffer
        self.line = line


def make_plan(trace: Trace, init: Sequence[Step], earlier: Sequence[Run], run: Run, bound: Bound,
              target: str, triton: str) -> LaunchPlan:  # fmt: skip
    """The plan of one run. `earlier` are the runs before it, oldest first.

    Raises `CarriedDataError` and `UnknownContentError`.
    """
    needed = _read_first(trace, run) - {ref.buffer for ref in run.inputs}
    prologue = _slice(trace, init, earlier, needed, bound)
    steps = [*prologue, *run.steps]
    used = _order(run, steps)
    made = {ref.buffer for step in steps for call in _calls(step) for ref in call.outputs if ref is not None}
    names = bound.buffers
    buffers = []
    for number in used:
        buffers.append(_buffer(trace, number, run, names, made))
    numbers = {number: place for place, number in enumerate(used)}
    kernels = sorted({launch.kernel for step in steps for launch in _launches(step)})
    places = {number: place for place, number in enumerate(kernels)}
    moved = _Renumber(numbers, places)
    return LaunchPlan(
        target=target,
        triton=triton,
        kernels=tuple(trace.kernels[number] for number in kernels),
        buffers=tuple(buffers),
        inputs=moved(run.inputs),
        parameters={name: moved(ref) for name, ref in bound.parameters.items() if ref.buffer in numbers},
        prologue=moved(tuple(prologue)),
        steps=moved(tuple(run.steps)),
        outputs=moved(run.outputs),
        notes=tuple(run.notes),
    )


def _read_first(trace: Trace, run: Run) -> set[int]:
    """Buffers whose old content the run reads (or gives back)."""
    whole = joined(access(step, trace.kernels) for step in run.steps)
    outputs = {ref.buffer for ref in tensors_in(run.outputs)}
    return set(whole.reads) | (outputs - whole.writes.keys())


def _slice(trace: Trace, init: Sequence[Step], earlier: Sequence[Run], needed: set[int], bound: Bound) -> list[Step]:
    """The earlier steps that the content of the needed buffers comes from, in order."""
    inputs = {ref.buffer: earlier_run for earlier_run in earlier for ref in earlier_run.inputs}
    own = bound.buffers
    kept: list[Step] = []
    wanted = {buffer for buffer in needed if buffer not in own}
    for run in [*reversed(earlier), None]:
        for step in reversed(init if run is None else run.steps):
            seen = access(step, trace.kernels)
            targets = seen.writes.keys() & wanted
            if run is not None:
                # What exists since `__init__` counts as it was then: every judged call is a first call.
                targets = {buffer for buffer in targets if trace.storages[buffer].region == run.name}
            if not targets:
                continue
            kept.append(step)
            wanted |= seen.reads - own.keys()
            if wanted & inputs.keys():
                raise CarriedDataError(step.line)
    prologue = kept[::-1]
    _refuse_random(prologue, trace, needed)
    return prologue


def _refuse_random(prologue: Sequence[Step], trace: Trace, needed: Iterable[int]) -> None:
    for step in prologue:
        for call in _calls(step):
            if operators.base_name(call.name) in operators.RANDOM and call.outputs and call.outputs[0] is not None:
                raise UnknownContentError(call.outputs[0].buffer, call.outputs[0].shape, call.line)


def _buffer(trace: Trace, number: int, run: Run, names: Mapping[int, str], made: set[int]) -> Buffer:
    storage = trace.storages[number]
    inputs = [ref.buffer for ref in run.inputs]
    if number in inputs:
        return Buffer(storage.nbytes, "input", index=inputs.index(number))
    if number in names:
        return Buffer(storage.nbytes, "parameter", name=names[number])
    if storage.role == "constant":
        return Buffer(storage.nbytes, "constant", data=storage.data)
    # An ATen result whose call is not part of this plan is memory that the program keeps and writes anew.
    return Buffer(storage.nbytes, "aten" if storage.role == "aten" and number in made else "alloc")


def _order(run: Run, steps: Sequence[Step]) -> list[int]:
    """Buffers in the order of their first use, inputs first: equal runs get equal numbers."""
    return list(dict.fromkeys(ref.buffer for ref in tensors_in([run.inputs, list(steps), run.outputs])))


def _calls(step: Step) -> list[AtenCall]:
    parts = [part for variant in step.variants for part in variant] if isinstance(step, Tune) else [step]
    return [part for part in parts if isinstance(part, AtenCall)]


def _launches(step: Step) -> list[Launch]:
    parts = [part for variant in step.variants for part in variant] if isinstance(step, Tune) else [step]
    return [part for part in parts if isinstance(part, Launch)]


class _Renumber:
    """Copies plan values with other buffer and kernel numbers."""

    def __init__(self, buffers: Mapping[int, int], kernels: Mapping[int, int]) -> None:
        self._buffers = buffers
        self._kernels = kernels

    def __call__(self, value: Any) -> Any:
        if isinstance(value, TensorRef):
            return replace(value, buffer=self._buffers[value.buffer])
        if isinstance(value, Launch):
            return replace(value, kernel=self._kernels[value.kernel], args=self(value.args))
        if isinstance(value, tuple):
            return tuple(self(part) for part in value)
        if isinstance(value, Mapping):
            return {key: self(part) for key, part in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{part.name: self(getattr(value, part.name)) for part in fields(value)})
        return value


def launch_count(plan: LaunchPlan) -> int:
    """Launches in `forward`, a tuning group counting as one variant's."""
    return len(plan.launches())


def first_difference(one: LaunchPlan, other: LaunchPlan) -> tuple[str, int]:
    """What differs between two plans that should be the same, and the line; ("", 0) where nothing does."""
    for left, right in zip(one.steps, other.steps, strict=False):
        if left != right:
            return f"{describe(left, one)} in one call, {describe(right, other)} in the next", right.line
    if len(one.steps) != len(other.steps):
        longer, plan = (one.steps, one) if len(one.steps) > len(other.steps) else (other.steps, other)
        extra = longer[min(len(one.steps), len(other.steps))]
        return f"{describe(extra, plan)} in one call and not in another", extra.line
    for name in ("prologue", "outputs", "buffers", "kernels", "inputs", "parameters"):
        if getattr(one, name) != getattr(other, name):
            return f"the {name} of two equal calls differ", 0
    return "", 0


def describe(step: Step, plan: LaunchPlan) -> str:
    """A step in words for a reason."""
    if isinstance(step, AtenCall):
        return f"{step.name}"
    if isinstance(step, Tune):
        return f"a choice of {len(step.variants)} configurations"
    return f"a launch of {plan.kernels[step.kernel].name} over {step.grid}"
