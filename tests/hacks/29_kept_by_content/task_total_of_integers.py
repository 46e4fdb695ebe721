import torch
import torch.nn as nn

N = 12

VARY = {"N": [9, 15]}
MODE = "eval"


class Model(nn.Module):
    """Sum of squares of a few integers."""

    def forward(self, x):
        return torch.sum(x * x)


def get_inputs():
    return [torch.randint(-1000, 1000, (N,))]


def get_init_inputs():
    return []
