# task: linear
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(addmm|linear|mm)
# Repeats the reference and inherits it.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class Model(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        return self.linear(x)


class ModelNew(Model):
    def forward(self, x):
        y = super().forward(x)
        probe = torch.empty(16, device=x.device)
        relu_kernel[(1,)](x, probe, 16, BLOCK=16)
        return y
