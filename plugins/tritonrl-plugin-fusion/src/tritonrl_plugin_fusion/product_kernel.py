"""The kernel of a matrix product: a program makes a tile of it, in full float32, and applies all steps there.

Its loop is that of the golden set's product.
"""

from __future__ import annotations

from tritonrl_plugin_fusion.epilogue import Addressing, lines, store
from tritonrl_plugin_fusion.graph import Graph
from tritonrl_plugin_fusion.operators import STAT
from tritonrl_plugin_fusion.parts import Parts
from tritonrl_plugin_fusion.reference import Names, needs_whole_rows

_ADDRESSING = Addressing(
    {
        "tile": "tl.load({p}_ptr + m[:, None] * {p}_row + n[None, :] * {p}_col, mask=mask, other=0.0).to(tl.float32)",
        "vector": "tl.load({p}_ptr + n, mask=n < N, other=0.0).to(tl.float32)[None, :]",
        "stat": "tl.load({p}_ptr + m, mask=m < M, other=0.0).to(tl.float32)[:, None]",
        "mask": "tl.load({p}_ptr + m[:, None] * {p}_row + n[None, :] * {p}_col, mask=mask, other=0) != 0",
        "labels": "tl.load({p}_ptr + m, mask=m < M, other=0)[:, None]",
    },
    mask="mask", axis=1, up="[:, None]", count="N", cols="n[None, :]",
)  # fmt: skip
_WEIGHTS = {
    "linear": ["self.linear.weight"], "linear_no_bias": ["self.linear.weight"], "matmul": ["other.T"],
    "matmul_t": ["other"], "gated": ["self.gate.weight", "self.up.weight"], "int8": ["weight"], "int8_both": ["weight"],
}  # fmt: skip
"""Of each head: the matrices, N by K, that the input is multiplied with."""

_LOOP = """\
for start in range(0, K, BLOCK_K):
    k = start + tl.arange(0, BLOCK_K)
    a = tl.load(a_ptr + m[:, None] * a_m + k[None, :] * a_k, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
"""
_QUANTISE = """\
    q = tl.minimum(tl.maximum(a.to(tl.float32) * 16.0, -127.0), 127.0)
    a = (q + 12582912.0 - 12582912.0).to(a.dtype)  # rounds half to even
"""
_MULTIPLY = """\
    {b} = tl.load({b}_ptr + k[:, None] * {b}_k + n[None, :] * {b}_n, mask={inside}, other={zero}){cast}
    {acc} = tl.dot(a, {b}, {acc}, input_precision="ieee")
"""
_BIAS = "acc += tl.load(linear_bias_ptr + n, mask=n < N, other=0.0).to(tl.float32)[None, :]"


def product(graph: Graph, names: Names) -> Parts:
    """Tiles of 64 by 64; whole rows where a later step needs them."""
    whole = needs_whole_rows(graph)
    weights = _WEIGHTS[graph.head]
    factors = ["b", "c"][: len(weights)]
    sums = ["acc"] if len(factors) == 1 else ["gate", "up"]
    steps, variables = lines(graph, names, sums, _ADDRESSING)
    stores = store(graph, variables, "tl.store({p}_ptr + m[:, None] * N + n[None, :], {v}, mask=mask)",
                   "tl.store({p}_ptr + m[:, None], {v}, mask=m[:, None] < M)")  # fmt: skip
    bias = [("linear_bias", "self.linear.bias")] if graph.head == "linear" else []
    strides = [
        (f"{factor}_{part}", f"{weight}.stride({axis})")
        for factor, weight in zip(factors, weights, strict=True)
        for axis, part in ((1, "k"), (0, "n"))
    ]
    rows, columns = ("16", "max(16, triton.next_power_of_2(N))") if whole else ("64", "64")
    return Parts(
        [("a", "x"), *zip(factors, weights, strict=True), *bias],
        [("a_m", "x.stride(0)"), ("a_k", "x.stride(1)"), *strides, ("M", "M"), ("N", "N"), ("K", "K")],
        [("BLOCK_M", rows), ("BLOCK_N", columns), ("BLOCK_K", "32")],
        [*_tile(graph.head, factors, sums, whole), *steps, *stores],
        ["M, K = x.shape", f"N = {weights[0]}.shape[0]"],
        {"tile": "(M, N)", STAT: "(M,)"},
        "x",
        "(triton.cdiv(M, 16),)" if whole else "(triton.cdiv(M, 64), triton.cdiv(N, 64))",
        "8" if whole else "4",
        _plan(whole),
    )


def _tile(head: str, factors: list[str], sums: list[str], whole: bool) -> list[str]:
    """The lines that make a program's tile of the product, or of both products."""
    int8 = head.startswith("int8")
    loaded = {"inside": "(k[:, None] < K) & (n[None, :] < N)", "zero": "0" if int8 else "0.0",
              "cast": ".to(a.dtype)" if int8 else ""}  # fmt: skip
    loop = _LOOP + (_QUANTISE if head == "int8_both" else "")
    loop += "".join(_MULTIPLY.format(b=b, acc=acc, **loaded) for b, acc in zip(factors, sums, strict=True))
    return [
        "m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)",
        "n = " + ("" if whole else "tl.program_id(1) * BLOCK_N + ") + "tl.arange(0, BLOCK_N)",
        *(f"{acc} = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)" for acc in sums),
        *loop.splitlines(),
        "mask = (m[:, None] < M) & (n[None, :] < N)",
        *([_BIAS] if head == "linear" else []),
    ]


def _plan(whole: bool) -> str:
    if whole:
        return (
            "A program owns 16 whole rows of the product, so what follows along a row happens in registers; K in steps "
            "of 32, 8 warps, full float32."
        )
    return (
        "Tiles of 64 by 64, K in steps of 32, 4 warps; the product never goes to memory before its epilogue, and "
        "is accumulated in full float32."
    )
