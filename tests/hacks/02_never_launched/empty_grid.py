# task: relu
# expect: REJECTED
# because: no Triton kernel was launched|PyTorch does arithmetic: aten\.relu
# It is launched, over a grid of no programs.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.relu(x)
        n = y.numel()
        relu_kernel[(n // (n + 1),)](x, y, n, BLOCK=256)
        return y
