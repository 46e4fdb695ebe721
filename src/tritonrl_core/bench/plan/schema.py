"""The launch plan: what a candidate does on the GPU for one input case, as pure data.

A plan names buffers, the kernels (TTIR text and options, never binaries), and the steps between inputs and outputs:
ATen calls, launches, and groups of launches to choose the fastest of. Views are no steps: a `TensorRef` says where in a
buffer a tensor lies. This module defines the words and writes them as JSON; `plan.check` reads what others wrote.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

PLAN_SCHEMA = 1
"""Version of the serialised form; a plan of another version is refused."""

DTYPES: Mapping[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint64": 8, "uint32": 4,
    "uint16": 2, "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16,
}  # fmt: skip
"""Names of torch dtypes and the size of one element in bytes."""

INT_RANGES: Mapping[str, tuple[int, int]] = {
    **{f"i{bits}": (-(1 << bits - 1), (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    **{f"u{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    "i1": (-1, 1), "u1": (0, 1),
}  # fmt: skip
"""Kernel parameter types that take an integer, and what fits (a signless `i32` may come from either kind)."""

FLOAT_TYPES = ("fp16", "bf16", "fp32", "fp64", "f32", "f64")
"""Kernel parameter types that take a Python float."""

ROLES = ("input", "init_input", "parameter", "alloc", "constant", "aten")
"""Where a buffer's content comes from: the case's inputs, the reference's state by name, nowhere (poison), data written
in Python, or the result of an ATen call."""


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor: a strided window into a buffer. `offset` and `stride` count elements of `dtype`."""

    buffer: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: str

    @property
    def byte_offset(self) -> int:
        return self.offset * DTYPES[self.dtype]

    @property
    def end(self) -> int:
        """First byte past the last element; the byte offset itself where there is no element."""
        if 0 in self.shape:
            return self.byte_offset
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return (last + 1) * DTYPES[self.dtype]


def apart(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether no two elements share a place, as far as that shows when dimensions are taken by their strides."""
    if 0 in shape:
        return True
    reach = 0
    for step, size in sorted((step, size) for size, step in zip(shape, stride, strict=True) if size > 1):
        if step <= reach:
            return False
        reach += step * (size - 1)
    return True


@dataclass(frozen=True, slots=True)
class Word:
    """A named value of torch's: kind `dtype`, `device`, `layout` or `memory_format`, and its name."""

    kind: str
    name: str


Arg = TensorRef | Word | int | float | bool | str | None | tuple["Arg", ...]
"""An argument of an ATen call."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A piece of memory that tensors lie in. `index` counts input tensors, `name` is the reference's parameter name,
    `data` the content of a constant. The buffer's number is its place in `LaunchPlan.buffers`.
    """

    nbytes: int
    role: str
    index: int = -1
    name: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class AtenCall:
    """One call of `torch.ops.<name>`. An output that lies in a buffer of role `aten` not yet born gives it its content;
    any other was written in place. None stands for an output that is no tensor.
    """

    name: str
    args: tuple[Arg, ...]
    kwargs: Mapping[str, Arg] = field(default_factory=dict)
    outputs: tuple[TensorRef | None, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A host-side tensor descriptor passed to a kernel: sizes and strides in elements; the last stride is 1."""

    base: TensorRef
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    block_shape: tuple[int, ...]
    padding: str = "zero"
    round_f32_to_tf32: bool = False


LaunchArg = TensorRef | Descriptor | int | float


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a kernel that is passed at launch: its dotted path in the Python signature, its Triton type, and
    the divisibility in bytes (pointers) or units (integers) that the TTIR relies on (0 for none).
    """

    path: str
    type: str
    divisible: int = 0


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel as TTIR and options. `function` is the Python function's qualified name, `constants` the compile-time
    arguments by path: both only for interpreting it, and for people.
    """

    name: str
    function: str
    ttir: str
    options: Mapping[str, Any]
    params: tuple[Param, ...]
    constants: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of `kernels[kernel]` over `grid` programs, with one argument for each of its params, in order."""

    kernel: int
    grid: tuple[int, int, int]
    args: tuple[LaunchArg, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Tune:
    """Alternatives that do the same: the worker's clock picks one. Each is a sequence of launches and ATen calls."""

    variants: tuple[tuple[AtenCall | Launch, ...], ...]
    line: int = 0


Step = AtenCall | Launch | Tune


@dataclass(frozen=True, slots=True)
class Note:
    """Something seen while recording that is no step: `stream`, `event`, `graph`, `readback`, `print`, …"""

    kind: str
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """The whole of what a candidate does for one case. `prologue` is the work of `ModelNew.__init__` on weights;
    `outputs` is flat: tensors, and numbers that `forward` returned as such. `inputs` says how each input tensor lies.
    """

    target: str
    triton: str
    kernels: tuple[Kernel, ...]
    buffers: tuple[Buffer, ...]
    inputs: tuple[TensorRef, ...]
    parameters: Mapping[str, TensorRef]
    prologue: tuple[Step, ...]
    steps: tuple[Step, ...]
    outputs: tuple[TensorRef | int | float | bool, ...]
    notes: tuple[Note, ...] = ()
    init_inputs: tuple[TensorRef, ...] = ()

    def launches(self, *, prologue: bool = False) -> list[Launch]:
        """Launches in order, of each tuning group the first variant's."""
        found = plain_steps(self.prologue) if prologue else []
        return [step for step in [*found, *plain_steps(self.steps)] if isinstance(step, Launch)]

    def aten_calls(self, *, prologue: bool = False) -> list[AtenCall]:
        """ATen calls in order, of each tuning group the first variant's."""
        found = plain_steps(self.prologue) if prologue else []
        return [step for step in [*found, *plain_steps(self.steps)] if isinstance(step, AtenCall)]


def plain_steps(steps: tuple[Step, ...], pick: int = 0) -> list[AtenCall | Launch]:
    """The steps with each tuning group replaced by its variant number `pick` (or its last, where there are fewer)."""
    plain: list[AtenCall | Launch] = []
    for step in steps:
        plain.extend(step.variants[min(pick, len(step.variants) - 1)] if isinstance(step, Tune) else [step])
    return plain


def every_step(plan: LaunchPlan, *, prologue: bool) -> list[AtenCall | Launch]:
    """The steps in order with all alternatives of each tuning group: whatever may be carried out."""
    steps = [*(plan.prologue if prologue else ()), *plan.steps]
    return [part for step in steps
            for variant in (step.variants if isinstance(step, Tune) else ((step,),)) for part in variant]  # fmt: skip


def most_variants(plan: LaunchPlan) -> int:
    """How many alternatives the largest tuning group of a plan has; 1 where there is none."""
    steps = [*plan.prologue, *plan.steps]
    return max((len(step.variants) for step in steps if isinstance(step, Tune)), default=1)


def tensors_in(value: Any) -> Iterator[TensorRef]:
    """All tensor references in an argument, a step or a list of such, in order."""
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, Descriptor):
        yield value.base
    elif isinstance(value, AtenCall):
        yield from tensors_in(value.args)
        yield from tensors_in(value.kwargs)
        yield from tensors_in(value.outputs)
    elif isinstance(value, Launch):
        yield from tensors_in(value.args)
    elif isinstance(value, Tune):
        yield from tensors_in(value.variants)
    elif isinstance(value, Mapping):
        yield from tensors_in(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def encode(plan: LaunchPlan) -> bytes:
    """The plan as JSON. Floats are written in hexadecimal, so that every value survives exactly."""
    return json.dumps(as_data(plan), separators=(",", ":"), ensure_ascii=True).encode()


def as_data(plan: LaunchPlan) -> dict[str, Any]:
    """The plan as plain lists, dicts, strings and numbers."""
    return {"schema": PLAN_SCHEMA, **{part.name: _plain(getattr(plan, part.name)) for part in fields(plan)}}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return {"float": value.hex()}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, TensorRef):
        return {"tensor": [value.buffer, list(value.shape), list(value.stride), value.offset, value.dtype]}
    if isinstance(value, Word):
        return {value.kind: value.name}
    tag = {AtenCall: "aten", Launch: "launch", Tune: "tune", Descriptor: "descriptor"}.get(type(value))
    plain = {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    return plain if tag is None else {tag: plain}
