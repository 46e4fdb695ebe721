"""Data flow through a launch plan: what each step reads and writes, and how outputs come to depend on inputs.

Reads plans and TTIR only; runs nothing. `unearned_output` is the second half of the proof of work: an output that no
launch has worked on was not computed by the candidate's kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.plan.schema import (
    AtenCall,
    Kernel,
    Launch,
    LaunchPlan,
    Step,
    TensorRef,
    Tune,
    every_step,
    tensors_in,
)
from tritonrl_core.bench.plan.ttir import KernelFlow, Written, kernel_flow

UNTOUCHED = "does not depend on the inputs"


@dataclass(frozen=True, slots=True)
class Access:
    """Buffers that one step reads, and for each that it writes the buffers that its new content comes from."""

    reads: frozenset[int] = frozenset()
    writes: Mapping[int, Written] = field(default_factory=dict)

    @property
    def touched(self) -> frozenset[int]:
        return self.reads | frozenset(self.writes)


class Reach(IntEnum):
    """How a buffer's content depends on the inputs, from not at all to by a kernel's arithmetic."""

    NOTHING = 0
    INPUT = 1
    """Inputs, and what ATen calls alone made of them."""
    LAUNCHED = 2
    """Moved or cast by a launch."""
    COMPUTED = 3
    """Computed by a launch."""


def access(step: Step, kernels: Sequence[Kernel]) -> Access:
    """What a step reads and writes; of a tuning group its first variant."""
    if isinstance(step, Tune):
        return joined([access(part, kernels) for part in step.variants[0]])
    if isinstance(step, AtenCall):
        return _aten_access(step)
    return _launch_access(step, flow_of(kernels[step.kernel]))


def flow_of(kernel: Kernel) -> KernelFlow:
    """The kernel's own flow, by its launch parameters."""
    return kernel_flow(kernel.ttir, kernel.name, tuple(param.type for param in kernel.params))


def joined(parts: Iterable[Access]) -> Access:
    """Several steps as one: what is written before it is read counts as read only if it was there before."""
    reads: set[int] = set()
    writes: dict[int, Written] = {}
    for part in parts:
        reads |= part.reads - writes.keys()
        writes.update(part.writes)
    return Access(frozenset(reads), writes)


def written_by_aten(call: AtenCall) -> frozenset[int]:
    """Buffers that a call writes: its outputs, the arguments that the operator itself changes (whatever a plan says of
    them), and the running statistics of a batch norm."""
    places, words = operators.written_arguments(call.name)
    changed = [*(call.args[place] for place in places if place < len(call.args)), *map(call.kwargs.get, words)]
    if "batch_norm" in call.name:
        changed += call.args[3:5]
    return frozenset(ref.buffer for ref in tensors_in([call.outputs, changed]))


def _aten_access(call: AtenCall) -> Access:
    written = written_by_aten(call)
    base = operators.base_name(call.name)
    reads = {ref.buffer for ref in tensors_in([call.args, call.kwargs])}
    if operators.asks_for_shape(base):
        reads = set()
    if base in ("zero", "fill", "copy", "uniform", "normal", "random") and call.args:
        # These overwrite what is there; the tensor itself is not read.
        first = call.args[0]
        if isinstance(first, TensorRef) and first.buffer in written:
            reads = {ref.buffer for ref in tensors_in([call.args[1:], call.kwargs])}
    source = Written(frozenset(reads), frozenset())
    return Access(frozenset(reads), dict.fromkeys(written, source))


def _launch_access(launch: Launch, flow: KernelFlow) -> Access:
    buffers = [next((ref.buffer for ref in tensors_in((arg,))), -1) for arg in launch.args]

    def outer(numbers: Iterable[int]) -> frozenset[int]:
        return frozenset(buffers[number] for number in numbers if buffers[number] >= 0)

    writes: dict[int, Written] = {}
    for number, written in flow.writes.items():
        if buffers[number] >= 0:
            known = writes.get(buffers[number], Written())
            copied, computed = outer(written.copied), outer(written.computed)
            writes[buffers[number]] = Written(known.copied | copied, known.computed | computed)
    return Access(outer(flow.reads), writes)


def reach(plan: LaunchPlan, *, parameters: bool = False) -> dict[int, Reach]:
    """For every buffer how its content, after the last step, has come to depend on the inputs; or on inputs and
    parameters alike."""
    reached = dict.fromkeys(range(len(plan.buffers)), Reach.NOTHING)
    delegated: set[int] = set()
    for ref in [*plan.inputs, *(plan.parameters.values() if parameters else ())]:
        reached[ref.buffer] = Reach.INPUT
    for step in [*plan.prologue, *plan.steps]:
        if isinstance(step, Tune):
            reached = _least(reached, delegated, step, plan.kernels)
        else:
            _advance(reached, delegated, step, plan.kernels)
    return reached


def _least(
    reached: dict[int, Reach], delegated: set[int], group: Tune, kernels: Sequence[Kernel]
) -> dict[int, Reach]:
    """After a tuning group, what is certain whichever alternative is picked."""
    ends, theirs = [], set(delegated)
    for variant in group.variants:
        end, own = dict(reached), set(theirs)
        for part in variant:
            _advance(end, own, part, kernels)
        ends.append(end)
        delegated |= own
    return {number: min(end[number] for end in ends) for number in reached}


def _advance(
    reached: dict[int, Reach], delegated: set[int], step: AtenCall | Launch, kernels: Sequence[Kernel]
) -> None:
    """One step. `delegated` are buffers that ATen computed or selected: a launch that copies them has done
    nothing."""
    theirs, writes = frozenset(delegated), access(step, kernels).writes
    touched = set(writes).union(*(written.copied | written.computed for written in writes.values()))
    before: dict[int, Reach] = {}
    while any(before.get(number) is not reached[number] for number in touched):  # a launch may read what it has written
        before = {number: reached[number] for number in touched}
        for buffer, written in writes.items():
            copied = max((before[source] for source in written.copied), default=Reach.NOTHING)
            computed = max((before[source] for source in written.computed), default=Reach.NOTHING)
            if isinstance(step, Launch):
                own = max((before[source] for source in written.copied - theirs), default=Reach.NOTHING)
                copied = max(copied, Reach.LAUNCHED) if own >= Reach.INPUT else copied
                computed = Reach.COMPUTED if computed >= Reach.INPUT else computed
                is_theirs = own < Reach.INPUT and computed < Reach.COMPUTED and bool(written.copied & theirs)
            else:
                is_theirs = operators.kind(step.name) == "arithmetic" or bool(written.copied & theirs)
            reached[buffer] = max(reached[buffer], copied, computed)
            if is_theirs:
                delegated.add(buffer)  # for good: what is written later may be a part of it
            if buffer in delegated and reached[buffer] is Reach.LAUNCHED:
                reached[buffer] = Reach.INPUT


def unearned_output(plan: LaunchPlan, *, computes: bool = True, theirs: Sequence[Reach] = ()) -> str:
    """Why an output is not the kernels' work; "" where all are. `computes` is False for tasks that only move data.

    `theirs` says how each of the reference's own outputs depends on the inputs: where one of them is computed, another
    that is only moved, or has nothing to do with the inputs, is nothing that a kernel must work on.
    """
    if not plan.launches():
        return "no Triton kernel is launched in forward"
    reached = reach(plan)
    for number, output in enumerate(plan.outputs):
        needed = Reach.COMPUTED if computes else Reach.LAUNCHED
        if computes and Reach.COMPUTED in theirs and number < len(theirs):
            needed = theirs[number]
        if not isinstance(output, TensorRef) or reached[output.buffer] >= needed:
            continue
        moved = reached[output.buffer] is Reach.LAUNCHED
        if moved and reach(plan, parameters=True)[output.buffer] is Reach.COMPUTED:
            continue  # inputs that are moved beside parameters that are worked on
        if not plan.inputs:
            continue
        found = {
            Reach.NOTHING: UNTOUCHED,
            Reach.INPUT: "is made of the inputs without any Triton kernel",
            Reach.LAUNCHED: "is only copied by Triton kernels; none computes it",
        }[reached[output.buffer]]
        return f"output {number} {found}"
    return ""


def beyond_following(plan: LaunchPlan) -> str:
    """A kernel that nobody can follow, with its line and why; "" where there is none. To be asked before
    `unearned_output`, which knows of no such kernels.

    Its text holds something that is not known, or it deals with addresses in a way that nobody can follow. Nobody could
    say what it computes, nor what it touches: such memory would be neither guarded nor put back between timed runs.
    """
    for kernel in plan.kernels:
        why = unclear(kernel) or flow_of(kernel).stray
        if why:
            return f"line {kernel.line}: kernel {kernel.name} {why}"
    return ""


def unclear(kernel: Kernel) -> str:
    """What of a kernel's text is not known, in words that follow its name; "" where all is."""
    why = flow_of(kernel).unclear
    return f"{why}: what it computes cannot be told" if why else ""


def right_only_by_launches(plan: LaunchPlan) -> bool:
    """Whether some output lies in memory that nothing but launches writes: without them it is poison, and not right."""
    calls = [step for step in every_step(plan, prologue=True) if isinstance(step, AtenCall)]
    written = {buffer for call in calls for buffer in written_by_aten(call)}
    return any(
        isinstance(output, TensorRef)
        and plan.buffers[output.buffer].role == "alloc"
        and output.buffer not in written
        and 0 not in output.shape
        for output in plan.outputs
    )
