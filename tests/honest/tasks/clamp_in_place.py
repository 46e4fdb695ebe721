import torch
import torch.nn as nn

ROWS = 16
COLS = 100

VARY = {"ROWS": [7, 33], "COLS": [65, 129]}
MODE = "eval"


class Model(nn.Module):
    """Hard tanh in place, and its input given back."""

    def forward(self, x):
        return x.clamp_(-1.0, 1.0)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
