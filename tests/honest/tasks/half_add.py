import torch
import torch.nn as nn

ROWS = 16
COLS = 100

VARY = {"ROWS": [7, 33], "COLS": [65, 129]}
DTYPES = ["bfloat16"]
MODE = "eval"


class Model(nn.Module):
    """Sum of two matrices in half precision, scaled."""

    def forward(self, x, y):
        return (x + y) * 0.5


def get_inputs():
    return [torch.randn(ROWS, COLS, dtype=torch.float16), torch.randn(ROWS, COLS, dtype=torch.float16)]


def get_init_inputs():
    return []
