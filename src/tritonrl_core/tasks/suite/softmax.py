"""Level 1: the softmax family."""

from __future__ import annotations

from tritonrl_core.tasks.suite.template import Dims, Operator

SMALL: Dims = {"ROWS": (37, 17, 64), "COLS": (130, 96, 257)}
FULL: Dims = {"ROWS": (8192, 5000), "COLS": (4096, 3001)}


def _softmax(name: str, summary: str, expression: str, *, held_out: bool = False) -> Operator:
    return Operator(
        name,
        summary,
        SMALL,
        FULL,
        {"x": "torch.randn(ROWS, COLS)"},
        f"return {expression}",
        held_out=held_out,
        forbidden=("softmax",),
        family="softmax",
    )


OPERATORS = (
    _softmax("softmax", "Softmax of each row.", "torch.softmax(x, dim=-1)"),
    _softmax("softmax_columns", "Softmax of each column.", "torch.softmax(x, dim=0)"),
    _softmax("log_softmax", "Logarithm of the softmax of each row.", "torch.log_softmax(x, dim=-1)", held_out=True),
    _softmax("logsumexp", "Logarithm of the sum of exponentials of each row.", "torch.logsumexp(x, dim=-1)"),
    Operator(
        "masked_softmax",
        "Softmax of each row over the elements that the mask allows; the others become 0.",
        SMALL,
        FULL,
        {"x": "torch.randn(ROWS, COLS)", "mask": "torch.rand(ROWS, COLS) < 0.7"},
        'return torch.softmax(x.masked_fill(~mask, float("-inf")), dim=-1)',
        forbidden=("softmax",),
        family="softmax",
    ),
)
