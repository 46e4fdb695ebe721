import torch
import torch.nn as nn

ROWS = 40
COLS = 72

VARY = {"ROWS": [17, 33], "COLS": [65, 129]}
MODE = "eval"


class Model(nn.Module):
    """The mean of each row, in every place of the row."""

    def forward(self, x):
        return x.mean(1, keepdim=True).repeat(1, x.shape[1])


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
