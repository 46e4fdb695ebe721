import torch
import torch.nn as nn

ROWS = 16
COLS = 100

VARY = {"ROWS": [7, 33], "COLS": [65, 129]}
MODE = "eval"


class Model(nn.Module):
    """Sum of two matrices."""

    def forward(self, x, y):
        return x + y


def get_inputs():
    return [torch.randn(ROWS, COLS), torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
