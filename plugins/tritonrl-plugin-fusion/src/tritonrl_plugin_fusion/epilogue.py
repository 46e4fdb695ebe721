"""The steps of a graph as lines of Triton, on a tile that the frame's kernel has made. Loads come first.

What the tile's elements are called, and how a tensor beside it is loaded, is the matter of the frame's kernel
(`row_kernels`, `product_kernel`, `convolution_kernel`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tritonrl_plugin_fusion.graph import Graph
from tritonrl_plugin_fusion.operators import OPERATORS, POOLS, STAT
from tritonrl_plugin_fusion.reference import Names, kinds


@dataclass(frozen=True)
class Addressing:
    """How a frame's kernel finds things. `loads` maps kinds of tensors to a load of `{p}_ptr` (a tile's strides are
    `{p}_row` and `{p}_col`); `mask` is what is inside, `axis`, `up`, `count` and `cols` are as in `operators`."""

    loads: dict[str, str]
    mask: str
    axis: int
    up: str
    count: str
    cols: str = "cols"


@dataclass(frozen=True)
class Tensor:
    """A tensor that the kernel reads beside its head's: its name there, where `forward` has it, and its kind."""

    name: str
    where: str
    kind: str


def tensors(graph: Graph, names: Names) -> list[Tensor]:
    """What the steps read, in order."""
    found: list[Tensor] = []
    for number, step in enumerate(graph.steps):
        operator = OPERATORS[step.operator]
        member, side = names.members[number], names.sides[number]
        found += [Tensor(f"{_local(member)}_{part}", f"{member}.{part}", "vector") for part in operator.loads]
        if side:
            found.append(Tensor(_local(side), side, operator.side))
    return found


def lines(graph: Graph, names: Names, heads: list[str], addressing: Addressing) -> tuple[list[str], list[str]]:
    """The kernel's lines for all steps, and the variables of all values; `heads` are those of the head's values."""
    text, variables = [], list(heads)
    for number, step in enumerate(graph.steps):
        if step.operator in POOLS:  # the frame's kernel goes over the windows
            variables.append(variables[step.operands[0]])
            continue
        text += _loads(graph, names, number, addressing)
        out = f"v{number + 1}"
        text += _apply(graph, names, number, out, variables, addressing)
        variables.append(out)
    return text, variables


def store(graph: Graph, variables: list[str], tile: str, stat: str) -> list[str]:
    """The lines that store the outputs; `tile` and `stat` are templates with `{p}` and `{v}`."""
    found = kinds(graph)
    return [
        (stat if found[value] == STAT else tile).format(p=name, v=variables[value])
        for name, value in zip(output_names(graph), graph.outputs, strict=True)
    ]


def output_names(graph: Graph) -> list[str]:
    return ["out", *(f"kept{number}" for number in range(1, len(graph.outputs)))]


def _loads(graph: Graph, names: Names, number: int, addressing: Addressing) -> list[str]:
    operator = OPERATORS[graph.steps[number].operator]
    wanted = [(f"{_local(names.members[number])}_{part}", "vector") for part in operator.loads]
    if operator.side:
        wanted.append((_local(names.sides[number]), operator.side))
    return [f"{name} = {addressing.loads[kind].format(p=name)}" for name, kind in wanted]


def broken(line: str, limit: int = 112) -> list[str]:
    """A load on one line, or on three where it is long."""
    if len(line) <= limit or "tl.load(" not in line:
        return [line]
    start, inside = line.split("tl.load(", 1)
    inside, end = inside.rsplit(", other=", 1)
    other, end = end.split(")", 1)
    indent = " " * (len(line) - len(line.lstrip()))
    return [f"{start}tl.load(", f"{indent}    {inside}, other={other},", f"{indent}){end}"]


def _apply(
    graph: Graph, names: Names, number: int, out: str, variables: list[str], addressing: Addressing
) -> list[str]:
    step = graph.steps[number]
    operator = OPERATORS[step.operator]
    x, *rest = (variables[operand] for operand in step.operands)
    member = _local(names.members[number])
    fields = {part: f"{member}_{part}" for part in operator.loads}
    fields |= {name: f"{value:g}" if value != int(value) else f"{value:.1f}"
               for name, value in zip("ab", step.constants, strict=False)}  # fmt: skip
    text = operator.triton.format(
        x=x, y=rest[0] if rest else "", s=_local(names.sides[number]), out=out, mask=addressing.mask,
        axis=addressing.axis, up=addressing.up, n=addressing.count, cols=addressing.cols, **fields,
    )  # fmt: skip
    return text.splitlines() if text.startswith(f"{out}_") else [f"{out} = {text}"]


def _local(name: str) -> str:
    return name.removeprefix("self.")
