import torch
import torch.nn as nn

ROWS = 24
COLS = 100

VARY = {"ROWS": [7, 33], "COLS": [65, 129]}
MODE = "eval"


class Model(nn.Module):
    """Sum of each row."""

    def forward(self, x):
        return torch.sum(x, dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
