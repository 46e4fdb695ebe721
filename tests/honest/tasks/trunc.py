import torch
import torch.nn as nn

N = 500

VARY = {"N": [257, 1024]}
MODE = "eval"


class Model(nn.Module):
    """The whole part."""

    def forward(self, x):
        return torch.trunc(x)


def get_inputs():
    return [torch.randn(N) * 5]


def get_init_inputs():
    return []
