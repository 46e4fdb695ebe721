"""Level 1: scans, and operators that follow an index."""

from __future__ import annotations

from collections.abc import Mapping

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
FULL: Dims = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}
TABLE_SMALL: Dims = {"TOKENS": (50, 33), "ENTRIES": (21, 40), "DIM": (70, 24)}
TABLE_FULL: Dims = {"TOKENS": (65536, 40000), "ENTRIES": (32000, 20001), "DIM": (1024, 700)}
INDEX = "torch.randint(0, ENTRIES, (TOKENS,))"


def _scan(name: str, summary: str, inputs: Mapping[str, str], expression: str, *, held_out: bool = False) -> Operator:
    return Operator(name, summary, SMALL, FULL, inputs, f"return {expression}", held_out=held_out, family="scan")


def _indexed(
    name: str, summary: str, inputs: Mapping[str, str], expression: str, *, held_out: bool = False
) -> Operator:
    forward = f"return {expression}"
    return Operator(name, summary, TABLE_SMALL, TABLE_FULL, inputs, forward, held_out=held_out, family="indexing")


OPERATORS = (
    _scan("cumsum", "Cumulative sum of each row.", {"x": "torch.randn(ROWS, COLS)"}, "torch.cumsum(x, dim=1)"),
    _scan(
        "cumprod",
        "Cumulative product of each row, of factors near 1.",
        {"x": "1 + 0.05 * torch.randn(ROWS, COLS).clamp(-3, 3)"},
        "torch.cumprod(x, dim=1)",
    ),
    _scan(
        "masked_cumsum",
        "Cumulative sum of the elements of each row that the mask allows.",
        {"x": "torch.randn(ROWS, COLS)", "mask": "torch.rand(ROWS, COLS) < 0.5"},
        "torch.cumsum(x * mask, dim=1)",
    ),
    _scan(
        "reverse_cumsum",
        "Cumulative sum of each row from its end.",
        {"x": "torch.randn(ROWS, COLS)"},
        "torch.cumsum(x.flip(1), dim=1).flip(1)",
        held_out=True,
    ),
    Operator(
        "embedding",
        "Rows of a learned table, by index.",
        TABLE_SMALL,
        TABLE_FULL,
        {"index": INDEX},
        "return self.embedding(index)",
        {"entries": "ENTRIES", "features": "DIM"},
        "self.embedding = nn.Embedding(entries, features)",
        family="indexing",
    ),
    _indexed(
        "index_select",
        "Rows of a tensor, by index.",
        {"table": "torch.randn(ENTRIES, DIM)", "index": INDEX},
        "torch.index_select(table, 0, index)",
    ),
    Operator(
        "gather",
        "From each row, the elements at that row's own indices.",
        {"ROWS": (37, 17), "COLS": (50, 96), "PICKS": (33, 20)},
        {"ROWS": (8192, 5000), "COLS": (4096, 3001), "PICKS": (1024, 700)},
        {"x": "torch.randn(ROWS, COLS)", "index": "torch.randint(0, COLS, (ROWS, PICKS))"},
        "return torch.gather(x, 1, index)",
        family="indexing",
    ),
    _indexed(
        "index_add",
        "Rows added up by the group that each belongs to.",
        {"x": "torch.randn(TOKENS, DIM)", "index": INDEX, "table": "torch.randn(ENTRIES, DIM)"},
        "table.index_add(0, index, x)",
    ),
    _indexed(
        "mean_of_pairs",
        "Mean of the two table rows that each pair of indices names.",
        {"table": "torch.randn(ENTRIES, DIM)", "left": INDEX, "right": INDEX},
        "(table[left] + table[right]) / 2",
        held_out=True,
    ),
)
