import torch
import torch.nn as nn

M = 33
K = 40

VARY = {"M": [16, 50], "K": [32, 65]}
MODE = "eval"


class Model(nn.Module):
    """Two independent matrix products."""

    def forward(self, a, b, c, d):
        return a @ b, c @ d


def get_inputs():
    return [torch.randn(M, K), torch.randn(K, 48), torch.randn(2 * M, K), torch.randn(K, 16)]


def get_init_inputs():
    return []
