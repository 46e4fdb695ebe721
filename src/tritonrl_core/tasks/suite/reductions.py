"""Level 1: reductions over rows, columns, a middle dimension and everything."""

from __future__ import annotations

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
FULL: Dims = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}
SMALL_3D: Dims = {"BATCH": (3, 2), "LENGTH": (37, 50), "DIM": (21, 64)}
FULL_3D: Dims = {"BATCH": (64, 40), "LENGTH": (1024, 700), "DIM": (512, 390)}


def _rows(name: str, summary: str, expression: str, *, held_out: bool = False) -> Operator:
    inputs = {"x": "torch.randn(ROWS, COLS)"}
    return Operator(name, summary, SMALL, FULL, inputs, f"return {expression}", held_out=held_out, family="reduction")


def _middle(name: str, summary: str, expression: str, *, held_out: bool = False) -> Operator:
    inputs = {"x": "torch.randn(BATCH, LENGTH, DIM)"}
    forward = f"return {expression}"
    return Operator(name, summary, SMALL_3D, FULL_3D, inputs, forward, held_out=held_out, family="reduction")


OPERATORS = (
    _rows("sum_rows", "Sum of each row.", "x.sum(dim=1)"),
    _rows("mean_columns", "Mean of each column.", "x.mean(dim=0)"),
    _rows("max_rows", "Maximum of each row, keeping the dimension.", "x.amax(dim=1, keepdim=True)"),
    _rows("argmax_rows", "Index of the maximum of each row.", "x.argmax(dim=1)"),
    _rows("variance_rows", "Unbiased variance of each row.", "x.var(dim=1)"),
    _rows("norm_rows", "Euclidean norm of each row.", "torch.linalg.vector_norm(x, dim=1)", held_out=True),
    Operator(
        "sum_all",
        "Sum of the squares of all elements.",
        SMALL,
        {"ROWS": (2048, 1500), "COLS": (2048, 1301)},  # in a sum of more elements the last few would not show
        {"x": "torch.randn(ROWS, COLS)"},
        "return x.square().sum()",
        family="reduction",
    ),
    _middle("min_middle", "Minimum over the middle dimension.", "x.amin(dim=1)"),
    _middle("mean_middle", "Mean over the middle dimension.", "x.mean(dim=1)"),
    _middle(
        "mean_absolute", "Mean absolute value over the last two dimensions.", "x.abs().mean(dim=(1, 2))", held_out=True
    ),
)
