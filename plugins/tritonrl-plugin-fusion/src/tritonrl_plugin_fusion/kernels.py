"""From a graph to a fused Triton solution with its plan: the parts of its frame's kernel, written out.

One kernel each: a program makes its tile in registers, applies all steps there, and stores only the outputs.
"""

from __future__ import annotations

from collections.abc import Callable

from tritonrl_plugin_fusion.convolution_kernel import convolution
from tritonrl_plugin_fusion.epilogue import Tensor, broken, output_names, tensors
from tritonrl_plugin_fusion.frames import FRAMES
from tritonrl_plugin_fusion.graph import Graph
from tritonrl_plugin_fusion.parts import Parts
from tritonrl_plugin_fusion.product_kernel import product
from tritonrl_plugin_fusion.reference import Names, kinds, name_tensors, phrase, used_arguments
from tritonrl_plugin_fusion.row_kernels import planes, rows
from tritonrl_plugin_fusion.solution import Solution

_CODE = """\
import torch
import triton
import triton.language as tl


@triton.jit
def fused_kernel(
{parameters}
):
{body}


class ModelNew(torch.nn.Module):
{init}    def forward(self, {arguments}):
{forward}
        return {results}
"""
_FRAMES: dict[str, Callable[[Graph, Names], Parts]] = {
    "rows": rows, "lookup": rows, "product": product, "planes": planes, "convolution": convolution,
}  # fmt: skip
_STRIDED = ("rows", "lookup", "product")
"""Frames whose kernels read tiles and masks by their own strides; elsewhere they are made contiguous."""


def solution(graph: Graph) -> Solution:
    """The solution of a graph: its plan in sentences, and code that defines `ModelNew`."""
    names = name_tensors(graph)
    parts = _FRAMES[graph.frame](graph, names)
    beside = tensors(graph, names)
    strided = [item for item in beside if item.kind in ("tile", "mask") and graph.frame in _STRIDED]
    pointers = [*parts.pointers, *((item.name, item.where) for item in beside)]
    pointers += [(name, name) for name in output_names(graph)]
    scalars = [
        (f"{item.name}_{part}", f"{item.where}.stride({axis})")
        for item in strided
        for axis, part in enumerate(("row", "col"))
    ]
    scalars += parts.sizes
    forward = [
        *_contiguous([item for item in beside if item not in strided]),
        *parts.prepare, *_outputs(graph, parts), *_launch(pointers, scalars, parts),
    ]  # fmt: skip
    code = _CODE.format(
        parameters="\n".join(_parameters(pointers, scalars, parts)),
        body="\n".join("    " + part for line in parts.body for part in broken(line)),
        init=_init(graph, names),
        arguments=", ".join(names.inputs),
        forward="\n".join("        " + line for line in forward),
        results=", ".join(output_names(graph)),
    )
    return Solution(f"{_fused(graph, names)} {parts.plan}", code)


def _parameters(pointers: list[tuple[str, str]], scalars: list[tuple[str, str]], parts: Parts) -> list[str]:
    return [
        *_wrapped([f"{name}_ptr," for name, _ in pointers], 4),
        *_wrapped([f"{name}," for name, _ in scalars], 4),
        "    " + " ".join(f"{name}: tl.constexpr," for name, _ in parts.blocks),
    ]


def _launch(pointers: list[tuple[str, str]], scalars: list[tuple[str, str]], parts: Parts) -> list[str]:
    return [
        f"fused_kernel[{parts.grid}](",
        *_wrapped([f"{value}," for _, value in pointers], 4, 108),
        *_wrapped([f"{value}," for _, value in scalars], 4, 108),
        "    " + " ".join(f"{name}={value}," for name, value in parts.blocks) + f" num_warps={parts.warps},",
        ")",
    ]


def _contiguous(beside: list[Tensor]) -> list[str]:
    """Lines that make inputs contiguous; parameters are."""
    return [f"{item.where} = {item.where}.contiguous()" for item in beside if not item.where.startswith("self.")]


def _outputs(graph: Graph, parts: Parts) -> list[str]:
    found, like = kinds(graph), parts.dtype
    return [
        f"{name} = torch.empty({parts.shapes[found[value]]}, dtype={like}.dtype, device={like}.device)"
        for name, value in zip(output_names(graph), graph.outputs, strict=True)
    ]


def _init(graph: Graph, names: Names) -> str:
    if not names.init:
        return ""
    arguments = ", ".join(["self", *used_arguments(FRAMES[graph.frame], names)])
    body = "\n".join("        " + line.replace("nn.", "torch.nn.") for line in names.init)
    return f"    def __init__({arguments}):\n        super().__init__()\n{body}\n\n"


def _fused(graph: Graph, names: Names) -> str:
    head = FRAMES[graph.frame].heads[graph.head].phrase
    parts = ([head] if head else []) + [phrase(step, names.sides[i]) for i, step in enumerate(graph.steps)]
    text = ", ".join(parts)
    return f"All in one kernel, in float32: {text}."


def _wrapped(words: list[str], indent: int, limit: int = 116) -> list[str]:
    """Words in as few lines as fit."""
    found: list[str] = []
    for word in words:
        if found and len(found[-1]) + 1 + len(word) <= limit:
            found[-1] += " " + word
        else:
            found.append(" " * indent + word)
    return found
