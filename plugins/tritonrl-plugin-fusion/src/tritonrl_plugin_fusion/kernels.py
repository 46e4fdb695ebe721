"""From a graph to a fused Triton solution with its plan. The frames' loops are those of the golden set.

One kernel each: a program makes its tile in registers, applies all steps there, and stores only the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tritonrl_core.types import Candidate
from tritonrl_plugin_fusion.epilogue import Addressing, broken, lines, output_names, store, tensors
from tritonrl_plugin_fusion.frames import FRAMES
from tritonrl_plugin_fusion.graph import Graph
from tritonrl_plugin_fusion.operators import POOLS, STAT
from tritonrl_plugin_fusion.reference import Names, kinds, name_tensors, needs_whole_rows, phrase, used_arguments

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


@dataclass(frozen=True)
class Solution:
    """A composed solution: not known to be right before a verifier says so."""

    plan: str
    code: str

    def candidate(self) -> Candidate:
        """The solution as a completion in the form that prompts ask for."""
        text = f"<plan>\n{self.plan}\n</plan>\n```python\n{self.code.strip()}\n```"
        plan, code = text.index(self.plan), text.index(self.code.strip())
        spans = (plan, plan + len(self.plan)), (code, code + len(self.code.strip()) + 1)
        return Candidate(text, self.code.strip() + "\n", self.plan, *spans)


@dataclass(frozen=True)
class _Parts:
    """A kernel in the making. `pointers` and `sizes` are pairs of parameter and argument; `blocks` are the constexpr
    parameters with their values; `prepare` are the lines of `forward` before the launch."""

    pointers: list[tuple[str, str]]
    sizes: list[tuple[str, str]]
    blocks: list[tuple[str, str]]
    body: list[str]
    prepare: list[str]
    shapes: dict[str, str]
    dtype: str
    grid: str
    warps: str
    plan: str


def solution(graph: Graph) -> Solution:
    """The solution of a graph: its plan in sentences, and code that defines `ModelNew`."""
    names = name_tensors(graph)
    parts = _FRAMES[graph.frame](graph, names)
    found = kinds(graph)
    outputs = output_names(graph)
    beside = tensors(graph, names)
    pointers = [*parts.pointers, *((item.name, item.where) for item in beside), *((name, name) for name in outputs)]
    strides = [
        (f"{item.name}_{part}", f"{item.where}.stride({axis})")
        for item in beside if item.kind in ("tile", "mask") and graph.frame in _STRIDED
        for axis, part in enumerate(("row", "col"))
    ]  # fmt: skip
    contiguous = [
        f"{item.where} = {item.where}.contiguous()"
        for item in beside
        if not item.where.startswith("self.") and (item.kind not in ("tile", "mask") or graph.frame not in _STRIDED)
    ]
    made = [
        f"{name} = torch.empty({parts.shapes[found[value]]}, dtype={parts.dtype}.dtype, device={parts.dtype}.device)"
        for name, value in zip(outputs, graph.outputs, strict=True)
    ]
    scalars = [*strides, *parts.sizes]
    parameters = [
        *_wrapped([f"{name}_ptr," for name, _ in pointers], 4),
        *_wrapped([f"{name}," for name, _ in scalars], 4),
        "    " + " ".join(f"{name}: tl.constexpr," for name, _ in parts.blocks),
    ]
    launch = [
        f"fused_kernel[{parts.grid}](",
        *_wrapped([f"{value}," for _, value in pointers], 4, 108),
        *_wrapped([f"{value}," for _, value in scalars], 4, 108),
        "    " + " ".join(f"{name}={value}," for name, value in parts.blocks) + f" num_warps={parts.warps},",
        ")",
    ]
    code = _CODE.format(
        parameters="\n".join(parameters),
        body="\n".join("    " + part for line in parts.body for part in broken(line)),
        init=_init(graph, names),
        arguments=", ".join(names.inputs),
        forward="\n".join("        " + line for line in [*contiguous, *parts.prepare, *made, *launch]),
        results=", ".join(outputs),
    )
    return Solution(f"{_fused(graph, names)} {parts.plan}", code)


def _rows(graph: Graph, names: Names) -> _Parts:
    addressing = Addressing(
        {
            "tile": "tl.load({p}_ptr + row * {p}_row + cols * {p}_col, mask=mask, other=0.0).to(tl.float32)",
            "vector": "tl.load({p}_ptr + cols, mask=mask, other=0.0).to(tl.float32)",
            "stat": "tl.load({p}_ptr + row).to(tl.float32)",
            "mask": "tl.load({p}_ptr + row * {p}_row + cols * {p}_col, mask=mask, other=0) != 0",
            "labels": "tl.load({p}_ptr + row)",
        },
        mask="mask", axis=0, up="", count="n_cols",
    )  # fmt: skip
    start = ["row = tl.program_id(0)", "cols = tl.arange(0, BLOCK)", "mask = cols < n_cols"]
    if graph.frame == "rows":
        pointers, n_rows, data = [("x", "x")], "x.shape[0]", "x"
        start.append("x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)")
    else:
        data = "self.table.weight" if graph.head == "embedding" else "table"
        pointers, n_rows = [("x", data), ("index", "index")], "index.shape[0]"
        start.append("entry = tl.load(index_ptr + row)")
        start.append("x = tl.load(x_ptr + entry * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)")
    steps, variables = lines(graph, names, ["x"], addressing)
    stores = store(graph, variables, "tl.store({p}_ptr + row * n_cols + cols, {v}, mask=mask)",
                   "tl.store({p}_ptr + row, {v})")  # fmt: skip
    return _Parts(
        pointers,
        [("x_row", f"{data}.stride(0)"), ("x_col", f"{data}.stride(1)"), ("n_cols", "n_cols")],
        [("BLOCK", "block")],
        [*start, *steps, *stores],
        [*(["index = index.contiguous()"] if graph.frame == "lookup" else []),
         f"n_rows, n_cols = {n_rows}, {data}.shape[1]", "block = triton.next_power_of_2(n_cols)"],
        {"tile": "(n_rows, n_cols)", STAT: "(n_rows,)"},
        data,
        "(n_rows,)",
        "8 if block >= 2048 else 4",
        "One program a row, which stays in registers from load to store; 8 warps for long rows, 4 otherwise.",
    )  # fmt: skip


def _product(graph: Graph, names: Names) -> _Parts:
    whole = needs_whole_rows(graph)
    addressing = Addressing(
        {
            "tile": "tl.load({p}_ptr + m[:, None] * {p}_row + n[None, :] * {p}_col, mask=mask, other=0.0)"
                    ".to(tl.float32)",
            "vector": "tl.load({p}_ptr + n, mask=n < N, other=0.0).to(tl.float32)[None, :]",
            "stat": "tl.load({p}_ptr + m, mask=m < M, other=0.0).to(tl.float32)[:, None]",
            "mask": "tl.load({p}_ptr + m[:, None] * {p}_row + n[None, :] * {p}_col, mask=mask, other=0) != 0",
            "labels": "tl.load({p}_ptr + m, mask=m < M, other=0)[:, None]",
        },
        mask="mask", axis=1, up="[:, None]", count="N", cols="n[None, :]",
    )  # fmt: skip
    weights = {
        "linear": ["self.linear.weight"], "linear_no_bias": ["self.linear.weight"], "matmul": ["other.T"],
        "matmul_t": ["other"], "gated": ["self.gate.weight", "self.up.weight"], "int8": ["weight"],
        "int8_both": ["weight"],
    }[graph.head]  # fmt: skip
    bs = ["b", "c"][: len(weights)]
    accs = ["acc"] if len(bs) == 1 else ["gate", "up"]
    body = [
        "m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)",
        "n = " + ("" if whole else "tl.program_id(1) * BLOCK_N + ") + "tl.arange(0, BLOCK_N)",
        *(f"{acc} = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)" for acc in accs),
        "for start in range(0, K, BLOCK_K):",
        "    k = start + tl.arange(0, BLOCK_K)",
        "    a = tl.load(a_ptr + m[:, None] * a_m + k[None, :] * a_k, mask=(m[:, None] < M) & (k[None, :] < K), "
        "other=0.0)",
    ]
    if graph.head == "int8_both":
        body.append("    q = tl.minimum(tl.maximum(a.to(tl.float32) * 16.0, -127.0), 127.0)")
        body.append("    a = (q + 12582912.0 - 12582912.0).to(a.dtype)  # rounds half to even")
    cast = ".to(a.dtype)" if graph.head.startswith("int8") else ""
    for b, acc in zip(bs, accs, strict=True):
        body += [
            f"    {b} = tl.load({b}_ptr + k[:, None] * {b}_k + n[None, :] * {b}_n, "
            "mask=(k[:, None] < K) & (n[None, :] < N), other=0" + ("" if cast else ".0") + f"){cast}",
            f'    {acc} = tl.dot(a, {b}, {acc}, input_precision="ieee")',
        ]
    body.append("mask = (m[:, None] < M) & (n[None, :] < N)")
    pointers = [("a", "x"), *zip(bs, weights, strict=True)]
    if graph.head == "linear":
        pointers.append(("linear_bias", "self.linear.bias"))
        body.append("acc += tl.load(linear_bias_ptr + n, mask=n < N, other=0.0).to(tl.float32)[None, :]")
    steps, variables = lines(graph, names, accs, addressing)
    stores = store(graph, variables, "tl.store({p}_ptr + m[:, None] * N + n[None, :], {v}, mask=mask)",
                   "tl.store({p}_ptr + m[:, None], {v}, mask=m[:, None] < M)")  # fmt: skip
    strides = [(f"{b}_{part}", f"{weight}.stride({axis})")
               for b, weight in zip(bs, weights, strict=True) for axis, part in ((1, "k"), (0, "n"))]  # fmt: skip
    rows, warps = ("16", "8") if whole else ("64", "4")
    grid = f"(triton.cdiv(M, {rows}),)" if whole else "(triton.cdiv(M, 64), triton.cdiv(N, 64))"
    columns = "max(16, triton.next_power_of_2(N))" if whole else "64"
    how = ("A program owns 16 whole rows of the product, so what follows along a row happens in registers; K in steps "
           "of 32, 8 warps, full float32." if whole else
           "Tiles of 64 by 64, K in steps of 32, 4 warps; the product never goes to memory before its epilogue, and "
           "is accumulated in full float32.")  # fmt: skip
    return _Parts(
        pointers,
        [("a_m", "x.stride(0)"), ("a_k", "x.stride(1)"), *strides, ("M", "M"), ("N", "N"), ("K", "K")],
        [("BLOCK_M", rows), ("BLOCK_N", columns), ("BLOCK_K", "32")],
        [*body, *steps, *stores],
        ["M, K = x.shape", f"N = {weights[0]}.shape[0]"],
        {"tile": "(M, N)", STAT: "(M,)"},
        "x", grid, warps, how,
    )  # fmt: skip


def _planes(graph: Graph, names: Names) -> _Parts:
    at = "offsets"
    addressing = Addressing(
        {
            "tile": f"tl.load({{p}}_ptr + {at}, mask=mask, other=0.0).to(tl.float32)",
            "vector": "tl.load({p}_ptr + plane % channels).to(tl.float32)",
            "stat": "tl.load({p}_ptr + plane).to(tl.float32)",
            "mask": f"tl.load({{p}}_ptr + {at}, mask=mask, other=0) != 0",
        },
        mask="mask", axis=0, up="", count="pixels",
    )  # fmt: skip
    body = [
        "plane = tl.program_id(0)", "cols = tl.arange(0, BLOCK)", "mask = cols < pixels",
        "offsets = plane * pixels + cols",
        f"x = tl.load(x_ptr + {at}, mask=mask, other=0.0).to(tl.float32)",
    ]  # fmt: skip
    steps, variables = lines(graph, names, ["x"], addressing)
    stores = store(graph, variables, f"tl.store({{p}}_ptr + {at}, {{v}}, mask=mask)", "tl.store({p}_ptr + plane, {v})")
    return _Parts(
        [("x", "x")],
        [("channels", "channels"), ("pixels", "height * width")],
        [("BLOCK", "block")],
        [*body, *steps, *stores],
        ["x = x.contiguous()", "batch, channels, height, width = x.shape",
         "block = triton.next_power_of_2(height * width)"],
        {"tile": "(batch, channels, height, width)", STAT: "(batch, channels)"},
        "x", "(batch * channels,)", "8 if block >= 2048 else 4",
        "One program a channel of an image: its pixels lie together and stay in registers; 8 warps for large images, "
        "4 otherwise.",
    )  # fmt: skip


def _convolution(graph: Graph, names: Names) -> _Parts:
    pool = graph.steps[-1].operator if graph.steps[-1].operator in POOLS else ""
    at = "offsets"
    addressing = Addressing(
        {
            "tile": f"tl.load({{p}}_ptr + {at}, mask=mask, other=0.0).to(tl.float32)",
            "vector": "tl.load({p}_ptr + output, mask=output < outputs, other=0.0).to(tl.float32)[:, None]",
            "mask": f"tl.load({{p}}_ptr + {at}, mask=mask, other=0) != 0",
        },
        mask="mask", axis=0, up="", count="pixels",
    )  # fmt: skip
    steps, variables = lines(graph, names, ["acc"], addressing)
    bias = ["acc += tl.load(conv_bias_ptr + output, mask=output < outputs, other=0.0).to(tl.float32)[:, None]"]
    inner = [*_taps("width"), *(bias if graph.head == "conv" else []),
             "mask = (output[:, None] < outputs) & inside_image[None, :]",
             "offsets = (image * outputs + output[:, None]) * pixels + pixel[None, :]", *steps]  # fmt: skip
    start = [
        "image = tl.program_id(0)",
        "output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)",
        "place = tl.program_id(2) * PIXELS + tl.arange(0, PIXELS)",
        "pixels = height * width",
        "x_ptr += image * channels * pixels",
    ]
    if pool:
        tile = "tl.store({p}_ptr + (image * outputs + output[:, None]) * windows + place[None, :], pooled, mask=mask)"
        first = 'float("-inf")' if pool == "max_pool" else "0.0"
        gather = "pooled = tl.maximum(pooled, {v})" if pool == "max_pool" else "pooled += 0.25 * {v}"
        body = [
            *start,
            "windows = (height // 2) * (width // 2)",
            f"pooled = tl.full((OUTPUTS, PIXELS), {first}, dtype=tl.float32)",
            "for corner in range(0, 4):",
            *("    " + line for line in [
                "row = place // (width // 2) * 2 + corner // 2",
                "col = place % (width // 2) * 2 + corner % 2",
                "pixel = row * width + col",
                "inside_image = place < windows",
                *inner,
                gather.format(v=variables[-1]),
            ]),
            "mask = (output[:, None] < outputs) & (place[None, :] < windows)",
            *store(graph, variables, tile, ""),
        ]  # fmt: skip
    else:
        body = [
            *start, "pixel = place", "row = pixel // width", "col = pixel % width", "inside_image = pixel < pixels",
            *inner, *store(graph, variables, f"tl.store({{p}}_ptr + {at}, {{v}}, mask=mask)", ""),
        ]  # fmt: skip
    high, wide = ("(height // 2)", "(width // 2)") if pool else ("height", "width")
    pointers = [("x", "x"), ("weight", "self.conv.weight")]
    how = ("Implicit matrix product: a program makes 32 output channels by 64 positions of one image, tap by tap, 16 "
           "channels at a time in full float32; nothing is unfolded in memory.")  # fmt: skip
    if pool:
        how += " It does so for the four positions of each window in turn and stores only the pooled tensor."
    return _Parts(
        [*pointers, *([("conv_bias", "self.conv.bias")] if graph.head == "conv" else [])],
        [(name, name) for name in ("channels", "outputs", "height", "width")],
        [("KERNEL", "kernel"), ("OUTPUTS", "32"), ("PIXELS", "64"), ("CHANNELS", "16")],
        body,
        ["x = x.contiguous()", "batch, channels, height, width = x.shape",
         "outputs, _, kernel, _ = self.conv.weight.shape"],
        {"tile": f"(batch, outputs, {high.strip('()')}, {wide.strip('()')})"},
        "x", f"(batch, triton.cdiv(outputs, 32), triton.cdiv({high} * {wide}, 64))", "4", how,
    )  # fmt: skip


def _taps(wide: str) -> list[str]:
    """The convolution's sum for output positions `row`, `col`."""
    return [
        "acc = tl.zeros((OUTPUTS, PIXELS), dtype=tl.float32)",
        "for tap in range(0, KERNEL * KERNEL):",
        "    y = row + tap // KERNEL - KERNEL // 2",
        "    z = col + tap % KERNEL - KERNEL // 2",
        f"    inside = (y >= 0) & (y < height) & (z >= 0) & (z < {wide}) & inside_image",
        "    for start in range(0, channels, CHANNELS):",
        "        channel = start + tl.arange(0, CHANNELS)",
        "        weight = tl.load(",
        "            weight_ptr + (output[:, None] * channels + channel[None, :]) * KERNEL * KERNEL + tap,",
        "            mask=(output[:, None] < outputs) & (channel[None, :] < channels), other=0.0,",
        "        )",
        "        x = tl.load(",
        "            x_ptr + channel[:, None] * pixels + (y * width + z)[None, :],",
        "            mask=(channel[:, None] < channels) & inside[None, :], other=0.0,",
        "        )",
        '        acc = tl.dot(weight, x, acc, input_precision="ieee")',
    ]


_FRAMES: dict[str, Callable[[Graph, Names], _Parts]] = {
    "rows": _rows, "lookup": _rows, "product": _product, "planes": _planes, "convolution": _convolution,
}  # fmt: skip
_STRIDED = ("rows", "lookup", "product")
"""Frames whose kernels read tiles and masks by their own strides; elsewhere they are made contiguous."""


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

