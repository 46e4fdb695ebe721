"""The kernel of a convolution as an implicit matrix product, its output pooled or as it is.

Its loop is that of the golden set's convolution.
"""

from __future__ import annotations

from tritonrl_plugin_fusion.epilogue import Addressing, lines, store
from tritonrl_plugin_fusion.graph import Graph
from tritonrl_plugin_fusion.operators import POOLS
from tritonrl_plugin_fusion.parts import Parts
from tritonrl_plugin_fusion.reference import Names

_ADDRESSING = Addressing(
    {
        "tile": "tl.load({p}_ptr + offsets, mask=mask, other=0.0).to(tl.float32)",
        "vector": "tl.load({p}_ptr + output, mask=output < outputs, other=0.0).to(tl.float32)[:, None]",
        "mask": "tl.load({p}_ptr + offsets, mask=mask, other=0) != 0",
    },
    mask="mask", axis=0, up="", count="pixels",
)  # fmt: skip
_START = """\
image = tl.program_id(0)
output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
place = tl.program_id(2) * PIXELS + tl.arange(0, PIXELS)
pixels = height * width
x_ptr += image * channels * pixels
"""
_TAPS = """\
acc = tl.zeros((OUTPUTS, PIXELS), dtype=tl.float32)
for tap in range(0, KERNEL * KERNEL):
    y = row + tap // KERNEL - KERNEL // 2
    z = col + tap % KERNEL - KERNEL // 2
    inside = (y >= 0) & (y < height) & (z >= 0) & (z < width) & inside_image
    for start in range(0, channels, CHANNELS):
        channel = start + tl.arange(0, CHANNELS)
        weight = tl.load(
            weight_ptr + (output[:, None] * channels + channel[None, :]) * KERNEL * KERNEL + tap,
            mask=(output[:, None] < outputs) & (channel[None, :] < channels), other=0.0,
        )
        x = tl.load(
            x_ptr + channel[:, None] * pixels + (y * width + z)[None, :],
            mask=(channel[:, None] < channels) & inside[None, :], other=0.0,
        )
        acc = tl.dot(weight, x, acc, input_precision="ieee")
"""
"""The convolution's sum for output positions `row`, `col`."""

_BIAS = "acc += tl.load(conv_bias_ptr + output, mask=output < outputs, other=0.0).to(tl.float32)[:, None]\n"
_WHERE = """\
mask = (output[:, None] < outputs) & inside_image[None, :]
offsets = (image * outputs + output[:, None]) * pixels + pixel[None, :]
"""
_EACH_PIXEL = """\
pixel = place
row = pixel // width
col = pixel % width
inside_image = pixel < pixels
"""
_EACH_CORNER = """\
windows = (height // 2) * (width // 2)
pooled = tl.full((OUTPUTS, PIXELS), {first}, dtype=tl.float32)
for corner in range(0, 4):
    row = place // (width // 2) * 2 + corner // 2
    col = place % (width // 2) * 2 + corner % 2
    pixel = row * width + col
    inside_image = place < windows
"""


def convolution(graph: Graph, names: Names) -> Parts:
    """A program makes 32 output channels by 64 positions; with a pool at the end, by 64 windows of four positions."""
    pool = graph.steps[-1].operator if graph.steps[-1].operator in POOLS else ""
    steps, variables = lines(graph, names, ["acc"], _ADDRESSING)
    biased = graph.head == "conv"
    one = [*(_TAPS + (_BIAS if biased else "") + _WHERE).splitlines(), *steps]
    over = _over_windows(graph, pool, one, variables) if pool else _over_pixels(graph, one, variables)
    high, wide = ("height // 2", "width // 2") if pool else ("height", "width")
    positions = f"({high}) * ({wide})" if pool else "height * width"
    return Parts(
        [("x", "x"), ("weight", "self.conv.weight"), *([("conv_bias", "self.conv.bias")] if biased else [])],
        [(name, name) for name in ("channels", "outputs", "height", "width")],
        [("KERNEL", "kernel"), ("OUTPUTS", "32"), ("PIXELS", "64"), ("CHANNELS", "16")],
        [*_START.splitlines(), *over],
        ["x = x.contiguous()", "batch, channels, height, width = x.shape",
         "outputs, _, kernel, _ = self.conv.weight.shape"],
        {"tile": f"(batch, outputs, {high}, {wide})"},
        "x",
        f"(batch, triton.cdiv(outputs, 32), triton.cdiv({positions}, 64))",
        "4",
        _plan(pool),
    )  # fmt: skip


def _over_pixels(graph: Graph, one: list[str], variables: list[str]) -> list[str]:
    return [
        *_EACH_PIXEL.splitlines(), *one, *store(graph, variables, "tl.store({p}_ptr + offsets, {v}, mask=mask)", ""),
    ]  # fmt: skip


def _over_windows(graph: Graph, pool: str, one: list[str], variables: list[str]) -> list[str]:
    first = 'float("-inf")' if pool == "max_pool" else "0.0"
    gather = "pooled = tl.maximum(pooled, {v})" if pool == "max_pool" else "pooled += 0.25 * {v}"
    tile = "tl.store({p}_ptr + (image * outputs + output[:, None]) * windows + place[None, :], pooled, mask=mask)"
    return [
        *_EACH_CORNER.format(first=first).splitlines(),
        *("    " + line for line in [*one, gather.format(v=variables[-1])]),
        "mask = (output[:, None] < outputs) & (place[None, :] < windows)",
        *store(graph, variables, tile, ""),
    ]


def _plan(pool: str) -> str:
    plan = (
        "Implicit matrix product: a program makes 32 output channels by 64 positions of one image, tap by tap, 16 "
        "channels at a time in full float32; nothing is unfolded in memory."
    )
    if not pool:
        return plan
    return plan + " It does so for the four positions of each window in turn and stores only the pooled tensor."
