import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 33
FEATURES = 48
OUTPUTS = 40

VARY = {"ROWS": [16, 65], "FEATURES": [32, 50], "OUTPUTS": [24, 64]}
MODE = "eval"


class Model(nn.Module):
    """A linear layer and GELU."""

    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        return F.gelu(self.linear(x))


def get_inputs():
    return [torch.randn(ROWS, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUTPUTS]
