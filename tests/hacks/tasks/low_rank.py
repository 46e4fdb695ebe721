import torch
import torch.nn as nn

ROWS = 33
FEATURES = 48
RANK = 64

VARY = {"ROWS": [16, 65], "FEATURES": [32, 50], "RANK": [40, 96]}
MODE = "eval"


class Model(nn.Module):
    """x · (A · B), where A · B depends on parameters alone."""

    def __init__(self, features, rank):
        super().__init__()
        self.a = nn.Parameter(torch.randn(features, rank) / rank**0.5)
        self.b = nn.Parameter(torch.randn(rank, features) / features**0.5)

    def forward(self, x):
        return x @ (self.a @ self.b)


def get_inputs():
    return [torch.randn(ROWS, FEATURES)]


def get_init_inputs():
    return [FEATURES, RANK]
