import torch
import torch.nn as nn

ROWS = 16
COLS = 100

VARY = {"ROWS": [7, 33], "COLS": [65, 129]}
MODE = "eval"


class Model(nn.Module):
    """ReLU of each element."""

    def forward(self, x):
        return torch.relu(x)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
