import torch
import torch.nn as nn

N = 12

VARY = {"N": [9, 15]}
MODE = "eval"


class Model(nn.Module):
    """Largest of a few."""

    def forward(self, x):
        return torch.amax(x)


def get_inputs():
    return [torch.randn(N)]


def get_init_inputs():
    return []
