import torch
import torch.nn as nn

M = 48
K = 64
N = 40

VARY = {"M": [32, 50], "K": [40, 96], "N": [16, 72]}
MODE = "eval"


class Model(nn.Module):
    """A matrix product in half precision."""

    def forward(self, a, b):
        return a @ b


def get_inputs():
    return [torch.randn(M, K, dtype=torch.float16), torch.randn(K, N, dtype=torch.float16)]


def get_init_inputs():
    return []
