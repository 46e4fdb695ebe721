"""From a short description of an operator to a task in KernelBench form.

The suite's modules describe; this one writes the reference's text. It knows nothing about any operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tritonrl_core.tasks.prompts import statement
from tritonrl_core.types import Policy, Task

Dim = int | str | tuple[int, ...]
"""A constant of the reference: an integer, an expression over earlier constants, or the integer as written followed by
the values that it may take beside."""

Dims = Mapping[str, Dim]

HALF = ("float16", "bfloat16")

_SOURCE = """\
import torch
import torch.nn as nn
import torch.nn.functional as F

{constants}


class Model(nn.Module):
    \"\"\"{summary}\"\"\"
{init}
    def forward(self, {arguments}):
{forward}


def get_inputs():
    return [{inputs}]


def get_init_inputs():
    return [{init_inputs}]
"""

_INIT = """
    def __init__({parameters}):
        super().__init__()
{body}
"""


@dataclass(frozen=True)
class Operator:
    """One operator of the suite.

    `small` and `full` bind the same constants at the two sizes; `inputs` maps arguments of `forward` to the expressions
    that draw them; `init_inputs` maps arguments of `Model(...)` to expressions over the constants. `forbidden` names
    what in `tl` would do the whole task.
    """

    name: str
    summary: str
    small: Dims
    full: Dims
    inputs: Mapping[str, str]
    forward: str
    init_inputs: Mapping[str, str] = field(default_factory=dict)
    init: str = ""
    held_out: bool = False
    forbidden: tuple[str, ...] = ()
    family: str = ""
    level: int = 1

    @property
    def id(self) -> str:
        return f"l{self.level}_{self.name}"

    def source(self, size: str) -> str:
        """The reference's text at size `small` or `full`."""
        parameters = ", ".join(["self", *self.init_inputs])
        init = _INIT.format(parameters=parameters, body=_indent(self.init)) if self.init else ""
        return _SOURCE.format(
            constants="\n".join(f"{name} = {_own(value)}" for name, value in self._dims(size).items()),
            summary=self.summary,
            init=init,
            arguments=", ".join(self.inputs),
            forward=_indent(self.forward),
            inputs=_listed(self.inputs),
            init_inputs=", ".join(self.init_inputs.values()),
        )

    def task(self, size: str) -> Task:
        """The task at size `small` or `full`, with what may vary declared and said in the prompt."""
        vary = {name: value[1:] for name, value in self._dims(size).items() if isinstance(value, tuple)}
        task = Task(
            id=self.id,
            level=self.level,
            source=self.source(size),
            family=self.family,
            split="held_out" if self.held_out else "train",
            vary=vary,
            dtypes=HALF,
            policy=Policy(forbidden_builtins=self.forbidden),
            origin=f"builtin:{size}",
        )
        return statement(task, self.summary)

    def _dims(self, size: str) -> Dims:
        return self.small if size == "small" else self.full


def _own(value: Dim) -> int | str:
    return value[0] if isinstance(value, tuple) else value


def _indent(block: str) -> str:
    return "\n".join(" " * 8 + line if line else "" for line in block.strip().splitlines())


def _listed(inputs: Mapping[str, str]) -> str:
    line = ", ".join(inputs.values())
    if len(line) <= 100:
        return line
    return "".join(f"\n        {expression}," for expression in inputs.values()) + "\n    "
