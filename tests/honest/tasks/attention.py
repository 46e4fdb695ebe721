import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
HEADS = 2
LENGTH = 48
DIM = 32

VARY = {"BATCH": [1, 3], "LENGTH": [17, 64]}
MODE = "eval"


class Model(nn.Module):
    """Attention of each head, not masked."""

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)


def get_inputs():
    return [torch.randn(BATCH, HEADS, LENGTH, DIM) for _ in range(3)]


def get_init_inputs():
    return []
