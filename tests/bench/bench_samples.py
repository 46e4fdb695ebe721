"""A small task and a right solution, for tests that change one thing in them."""

REFERENCE = """
import torch
import torch.nn as nn

N = 100

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(N))

    def forward(self, x):
        return torch.relu(x * self.scale)

def get_inputs():
    return [torch.randn(16, N)]

def get_init_inputs():
    return []
"""

GOOD = """
import torch
import torch.nn as nn
import triton
import triton.language as tl

@triton.jit
def kernel(x, s, y, n, total, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    m = i < total
    v = tl.load(x + i, mask=m) * tl.load(s + i % n, mask=m)
    tl.store(y + i, tl.maximum(v, 0.0), mask=m)

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(100))

    def forward(self, x):
        y = torch.empty_like(x)
        kernel[(triton.cdiv(x.numel(), 256),)](x, self.scale, y, x.shape[-1], x.numel(), B=256)
        return y
"""
