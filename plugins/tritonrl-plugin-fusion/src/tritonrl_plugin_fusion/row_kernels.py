"""Kernels in which a program holds what belongs together whole: a row of a tensor, or a channel of an image.

The loops are those of the golden set's kernels.
"""

from __future__ import annotations

from tritonrl_plugin_fusion.epilogue import Addressing, lines, store
from tritonrl_plugin_fusion.graph import Graph
from tritonrl_plugin_fusion.operators import STAT
from tritonrl_plugin_fusion.parts import Parts
from tritonrl_plugin_fusion.reference import Names


def rows(graph: Graph, names: Names) -> Parts:
    """Rows of a matrix as they lie, or those that an index names."""
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
    return Parts(
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


def planes(graph: Graph, names: Names) -> Parts:
    """Channels of images."""
    addressing = Addressing(
        {
            "tile": "tl.load({p}_ptr + offsets, mask=mask, other=0.0).to(tl.float32)",
            "vector": "tl.load({p}_ptr + plane % channels).to(tl.float32)",
            "stat": "tl.load({p}_ptr + plane).to(tl.float32)",
            "mask": "tl.load({p}_ptr + offsets, mask=mask, other=0) != 0",
        },
        mask="mask", axis=0, up="", count="pixels",
    )  # fmt: skip
    body = [
        "plane = tl.program_id(0)", "cols = tl.arange(0, BLOCK)", "mask = cols < pixels",
        "offsets = plane * pixels + cols",
        "x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)",
    ]  # fmt: skip
    steps, variables = lines(graph, names, ["x"], addressing)
    stores = store(graph, variables, "tl.store({p}_ptr + offsets, {v}, mask=mask)", "tl.store({p}_ptr + plane, {v})")
    return Parts(
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
