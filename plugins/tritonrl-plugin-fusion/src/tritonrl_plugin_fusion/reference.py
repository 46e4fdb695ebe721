"""From a graph to a reference in KernelBench form, and to the sentences that say what is asked."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tritonrl_plugin_fusion.frames import FRAMES, Dim, Frame
from tritonrl_plugin_fusion.frames import dimensions as drawn_dimensions
from tritonrl_plugin_fusion.graph import Graph, Step
from tritonrl_plugin_fusion.operators import OPERATORS, STAT, TILE, Operator

_SOURCE = '''\
import torch
import torch.nn as nn
import torch.nn.functional as F

{constants}


class Model(nn.Module):
    """{summary}"""
{init}
    def forward(self, {arguments}):
{forward}


def get_inputs():
    return [{inputs}]


def get_init_inputs():
    return [{init_inputs}]
'''

_INIT = """
    def __init__({parameters}):
        super().__init__()
{body}
"""


@dataclass(frozen=True)
class Names:
    """What the tensors of a graph are called: of each step, the tensor beside its operands ("" for none) and the
    module's member; and the expressions that draw the arguments of `forward`, in order."""

    sides: tuple[str, ...]
    members: tuple[str, ...]
    inputs: Mapping[str, str]
    init: tuple[str, ...]


def kinds(graph: Graph) -> list[str]:
    """The kind of each value."""
    found = [TILE] * len(FRAMES[graph.frame].heads[graph.head].torch)
    for step in graph.steps:
        gives = OPERATORS[step.operator].gives
        found.append(found[step.operands[0]] if gives == "same" else gives)
    return found


def name_tensors(graph: Graph, dtype: str = "float32") -> Names:
    """Names for all tensors of a graph, none twice."""
    frame = FRAMES[graph.frame]
    head = frame.heads[graph.head]
    inputs, init, taken = dict(head.inputs), list(head.init), {*head.inputs, "gate", "up", "linear", "conv", "table"}
    if graph.head != "gated":
        taken -= {"gate", "up"}
    sides, members = [], []
    for step in graph.steps:
        operator = OPERATORS[step.operator]
        side = member = ""
        if operator.module:
            member = "self." + _unused(operator.name, taken)
            layer = operator.module.format(width=frame.width, batch_norm=frame.batch_norm)
            init.append(f"{member} = {layer}")
        elif operator.side:
            side = _unused(operator.name, taken)
            drawn = frame.shapes[operator.side]
            if any(step.parameters):
                shape = _arguments(drawn, frame)
                init.append(f"self.{side} = nn.Parameter(torch.randn({shape}))")
                side = "self." + side
            else:
                inputs[side] = drawn
        sides.append(side)
        members.append(member)
    if dtype != "float32":
        inputs = {name: _cast(drawn, dtype) for name, drawn in inputs.items()}
        init += [f"self.to(torch.{dtype})"] if init else []
    return Names(tuple(sides), tuple(members), inputs, tuple(init))


def source(graph: Graph, size: str, dtype: str = "float32") -> str:
    """The reference's text at size `small` or `full`, its floating tensors in `dtype`."""
    names = name_tensors(graph, dtype)
    arguments = used_arguments(FRAMES[graph.frame], names)
    lines = forward(graph, names)
    return written(dimensions(graph, size), summary(graph), arguments, names.init, names.inputs, lines)


def written(
    dims: Mapping[str, Dim],
    summary: str,
    arguments: Mapping[str, str],
    init: Sequence[str],
    inputs: Mapping[str, str],
    lines: Sequence[str],
) -> str:
    """A reference's text. `arguments` maps those of `Model(...)` to constants, `inputs` those of `forward` to draws."""
    made = _INIT.format(parameters=", ".join(["self", *arguments]), body=_indent(init)) if init else ""
    return _SOURCE.format(
        constants="\n".join(f"{name} = {_own(value)}" for name, value in dims.items()),
        summary="\n    ".join(textwrap.wrap(summary, 110)),
        init=made,
        arguments=", ".join(inputs),
        forward=_indent(lines),
        inputs=_listed(inputs),
        init_inputs=", ".join(arguments.values()),
    )


def dimensions(graph: Graph, size: str) -> Mapping[str, Dim]:
    """Constants of the graph's reference at a size."""
    frame = FRAMES[graph.frame]
    choices = frame.narrow if frame.narrow and needs_whole_rows(graph) else frame.sizes
    dims = drawn_dimensions(choices, graph.sizes, size)
    inputs = FRAMES[graph.frame].heads[graph.head].inputs
    if "ENTRIES" in dims and not any("ENTRIES" in drawn for drawn in inputs.values()):
        return {name: value for name, value in dims.items() if name != "ENTRIES"}
    return dims


def vary(graph: Graph, size: str) -> dict[str, tuple[int, ...]]:
    """Constants that may take other values, with those."""
    return {name: value[1:] for name, value in dimensions(graph, size).items() if isinstance(value, tuple)}


def needs_whole_rows(graph: Graph) -> bool:
    """Whether one program must hold a whole row."""
    return any(
        "{axis}" in OPERATORS[step.operator].triton or OPERATORS[step.operator].side == "labels" for step in graph.steps
    )


def used_arguments(frame: Frame, names: Names) -> dict[str, str]:
    """Arguments of `Model(...)` that its layers use, with the constants they get."""
    text = "\n".join(names.init)
    return {name: value for name, value in frame.init_inputs.items() if name in text}


def forward(graph: Graph, names: Names) -> list[str]:
    """The lines of the reference's forward."""
    frame = FRAMES[graph.frame]
    head = frame.heads[graph.head]
    lines: list[str] = []
    called = [_value_name(graph, number) for number in range(len(head.torch))]
    for name, expression in zip(called, head.torch, strict=True):
        if name != expression:
            lines.append(f"{name} = {expression}")
    found = kinds(graph)
    for number, step in enumerate(graph.steps):
        name = _value_name(graph, len(called), found[len(called)])
        lines.append(f"{name} = {_expression(step, frame, names, number, called)}")
        called.append(name)
    results = [_closed(called[output], found[output], frame) for output in graph.outputs]
    return [*lines, f"return {', '.join(results)}"]


def summary(graph: Graph) -> str:
    """What is computed, in one sentence."""
    names, frame = name_tensors(graph), FRAMES[graph.frame]
    head = frame.heads[graph.head].phrase
    parts = [head] if head else []
    parts += [phrase(step, names.sides[number]) for number, step in enumerate(graph.steps)]
    text = ", ".join(parts)
    more = " An intermediate result is returned too." if len(graph.outputs) > 1 else ""
    return f"{text[0].upper()}{text[1:]}.{more}"


def phrase(step: Step, side: str) -> str:
    """What one step does, in words."""
    operator = OPERATORS[step.operator]
    return operator.phrase.format(s=side.removeprefix("self."), **_constants(step, operator))


def _expression(step: Step, frame: Frame, names: Names, number: int, called: list[str]) -> str:
    operator = OPERATORS[step.operator]
    x, *rest = (called[operand] for operand in step.operands)
    return operator.torch.format(
        x=x, y=rest[0] if rest else "", s=names.sides[number], m=names.members[number], dims=frame.dims,
        **_constants(step, operator),
    )


def _constants(step: Step, operator: Operator) -> dict[str, str]:
    return {name: f"{value:g}" for name, value in zip("ab", step.constants, strict=False)}


def _value_name(graph: Graph, number: int, kind: str = TILE) -> str:
    """`x`, as long as nobody asks for the value later; else a name of its own."""
    heads = len(FRAMES[graph.frame].heads[graph.head].torch)
    if number < heads and heads > 1:
        return ("gate", "up")[number]
    read_next = number - heads + 1 < len(graph.steps) and number in graph.steps[number - heads + 1].operands
    last = number == heads + len(graph.steps) - 1
    if kind == STAT:
        return f"row{number}"
    return "x" if graph.uses(number) == 1 and (read_next or last) else f"x{number}"


def _closed(name: str, kind: str, frame: Frame) -> str:
    return frame.closing.format(x=name) if kind == STAT else name


def _unused(name: str, taken: set[str]) -> str:
    free = name
    number = 2
    while free in taken:
        free, number = f"{name}{number}", number + 1
    taken.add(free)
    return free


def _arguments(drawn: str, frame: Frame) -> str:
    """`torch.randn(N)` → `outputs`: the shape, in the arguments of `Model(...)`."""
    shape = drawn.removeprefix("torch.randn(").removesuffix(")")
    for argument, constant in frame.init_inputs.items():
        shape = ", ".join(argument if part == constant else part for part in shape.split(", "))
    return shape


def _cast(drawn: str, dtype: str) -> str:
    return f"{drawn[:-1]}, dtype=torch.{dtype})" if drawn.startswith("torch.randn(") else drawn


def _own(value: Dim) -> int:
    return value[0] if isinstance(value, tuple) else value


def _indent(lines: Sequence[str]) -> str:
    return "\n".join(" " * 8 + line for line in lines)


def _listed(inputs: Mapping[str, str]) -> str:
    line = ", ".join(inputs.values())
    if len(line) <= 100:
        return line
    return "".join(f"\n        {expression}," for expression in inputs.values()) + "\n    "
