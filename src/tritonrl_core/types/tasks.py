"""What to write kernels for, and on what inputs: tasks, input cases, and what a plugin can ask about a task.

Sizes are bytes, times microseconds (`_us`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from tritonrl_core.types.content import content_key


@dataclass(frozen=True, slots=True)
class Policy:
    """What a task allows besides Triton kernels.

    `delegation` is how much ATen work a candidate may do: `none`, `layout_only` or `reported`; None takes the preset's.
    `forbidden_builtins` are names in `tl` that would do the whole task (`tl.softmax` where softmax is asked).
    `packed_weights`: whether work on weights in `__init__` may stay outside the clock.
    """

    delegation: str | None = None
    forbidden_builtins: tuple[str, ...] = ()
    packed_weights: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What to write a kernel for: a reference in KernelBench form and everything that may be asked of a solution.

    `source` defines `Model`, `get_inputs()` and `get_init_inputs()`. `vary` maps an upper-case integer constant of the
    source to the values it may take beside its own; `dtypes` are names such as `float16` that inputs may take beside
    their own. Both are stated in `prompt`. `mutated_buffers` are buffers that the reference's own forward changes.
    `mode` is `eval`, `train`, or `as_is` (what the file leaves the module in). `tolerance` overrides the derived one.
    """

    id: str
    level: int
    source: str
    prompt: str = ""
    family: str = ""
    split: str = "train"
    mode: str = "eval"
    vary: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    mutated_buffers: tuple[str, ...] = ()
    policy: Policy = Policy()
    tolerance: float | None = None
    origin: str = ""
    """Where it came from: a file path, `builtin`, or the plugin that generated it."""
    grade: Mapping[str, float] = field(default_factory=dict)
    """What is known of how much work it is, by the names of `TaskFacts`; computed, and never part of a verdict."""

    @property
    def key(self) -> str:
        """Content hash of everything a verdict can depend on (not the prompt, split, origin or grade). Which values are
        tried, and whether an estimate may be rewarded, follows from the family, where there is one."""
        judged = [self.source, self.mode, sorted((k, list(v)) for k, v in self.vary.items()), self.dtypes,
                  self.mutated_buffers, asdict(self.policy), self.tolerance, *filter(None, [self.family])]
        return content_key(*judged)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """How much work one task is at the size as written, computed from a trace of its reference.

    `flops`: multiplications and additions of products, and one operation an element of everything else. `bytes`:
    inputs, parameters and outputs once, which is what perfect fusion moves; `eager_bytes`: every operator's operands
    and results. `launches`: operators that move data when PyTorch runs them one by one; `fusible_edges`: tensors
    between two of those that perfect fusion keeps out of memory. `roofline_us` is the least time on `target`,
    `eager_us` the estimate for PyTorch (`bench.estimate`).
    """

    flops: int
    bytes: int
    eager_bytes: int
    operators: Mapping[str, int]
    launches: int
    fusible_edges: int
    roofline_us: float
    eager_us: float
    target: str

    @property
    def saving(self) -> float:
        """Share of the eager traffic that perfect fusion saves, between 0 and 1."""
        return max(0.0, 1 - self.bytes / self.eager_bytes) if self.eager_bytes else 0.0

    @property
    def grade(self) -> dict[str, float]:
        """The figures as a task carries them."""
        return {
            "launches": self.launches, "fusible_edges": self.fusible_edges, "flops": self.flops, "bytes": self.bytes,
            "eager_bytes": self.eager_bytes, "saving": round(self.saving, 4),
            "roofline_us": round(self.roofline_us, 2), "eager_us": round(self.eager_us, 2),
        }  # fmt: skip


class TaskRoom(Protocol):
    """What the core can tell a plugin about a task that it makes. Answers are kept by content; the cheapest first.

    None raises for a reference that is broken: that is what `unfit` says.
    """

    def suite(self) -> str:
        """The suite that the preset's own tasks come from: `builtin`, `none`, or the name of the bundled model whose
        tasks, made for its size, they are."""
        ...

    def statement(self, task: Task, summary: str) -> Task:
        """The task with its prompt filled in: what it computes and what may vary."""
        ...

    def computation(self, task: Task) -> str:
        """A key of the canonical graph, equal for two tasks that differ only in names, shapes and constants."""
        ...

    def tested(self, task: Task) -> str:
        """The id of a task that is tested on (held out, or named in `tasks.decontaminate`) and computes the same; "" if
        there is none."""
        ...

    def facts(self, task: Task) -> TaskFacts | None:
        """How much work it is; None where its reference cannot be traced."""
        ...

    def unfit(self, task: Task) -> str:
        """Why it is not fit to judge with, "" where it is. The reference is run."""
        ...


@dataclass(frozen=True, slots=True)
class InputCase:
    """One concrete set of inputs for a task. Data, not tensors: whoever needs tensors makes them on its own device.

    `dims` re-binds upper-case integer constants of the task's source ({} = as written); `dtype` replaces the floating
    dtype of inputs and parameters (None = as written); `distribution` is one of `tasks.cases.DISTRIBUTIONS`, `layout`
    one of `tasks.cases.LAYOUTS`; `seed` seeds inputs and parameters.
    """

    name: str
    seed: int
    dims: Mapping[str, int] = field(default_factory=dict)
    dtype: str | None = None
    distribution: str = "normal"
    layout: str = "contiguous"

    @property
    def signature(self) -> tuple[Any, ...]:
        """What a recording depends on: shapes, dtype and layout, never the values."""
        return (tuple(sorted(self.dims.items())), self.dtype, self.layout)


@dataclass(frozen=True, slots=True)
class CaseRequest:
    """What a correctness check asks the task's case generator for."""

    count: int = 1
    shapes: bool = False
    values: bool = False
    dtypes: bool = False
    layouts: bool = False
    seed: int = 0
    small: bool = False
    """Ask for the smallest declared dimensions (the funnel's tiny run)."""
