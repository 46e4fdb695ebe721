"""Outputs that leave work to whoever reads them: views that show memory otherwise than the reference lays it out.

One number for a whole row with a stride of 0, windows that overlap, a plain copy that is called transposed: all hold
the right values. Elements must have places of their own where the reference's have; and where moving data is all the
task, they must lie as there. Else a kernel may lay its output out as it likes. Looks at shapes and strides alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from tritonrl_core.bench.plan.schema import LaunchPlan, TensorRef, apart
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import InputCase, Task

Lies = tuple[Sequence[int], Sequence[int]]
"""Shape and strides in elements."""


def left_to_the_reader(plan: LaunchPlan, reference: Callable[[], Sequence[Tensor]], *, only_moves: bool) -> str:
    """What a plan's outputs leave to do, in words; "" for nothing. `reference` gives the reference's outputs, for their
    shapes and strides: it is asked only where an output is laid out unusually.
    """
    mine = [(number, (out.shape, out.stride)) for number, out in enumerate(plan.outputs) if isinstance(out, TensorRef)]
    unusual = [(number, lies) for number, lies in mine if not apart(*lies) or (only_moves and not in_order(lies))]
    theirs = [(tuple(out.shape), out.stride()) for out in reference()] if unusual else []
    for number, lies in unusual:
        wanted = theirs[number] if number < len(theirs) else lies
        if not apart(*lies) and apart(*wanted):
            return f"output {number} shows the same memory in several places: give each element a place of its own"
        if only_moves and not in_order(lies) and in_order(wanted):
            return f"output {number} does not lie as the reference's does, in order: here that is the work"
    return ""


def reference_outputs(task: Task, case: InputCase) -> list[Tensor]:
    """A reference's outputs: without memory where that can be had. Raises `TaskError` where it does not run."""
    try:
        return Reference(task).materialise(case, "meta").expected("native")
    except (TaskError, InfraError):
        return Reference(task).materialise(case, "cpu").expected("native")


def in_order(lies: Lies) -> bool:
    """Whether elements follow each other as torch lays out a new tensor."""
    step = 1
    for size, stride in reversed(list(zip(*lies, strict=True))):
        if size > 1 and stride != step:
            return 0 in lies[0]
        step *= size
    return True
