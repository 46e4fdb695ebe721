# task: linear
# expect: WRONG
# because: nan
# Allocates the output where an evaluator that ran the reference first has just freed it, and hardly touches it.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def finish_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = tl.load(y_ptr + i, mask=i < n)
    x = tl.load(x_ptr)
    tl.store(y_ptr + i, y + x * 0.0, mask=i < n)


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.outputs = outputs
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        y = torch.empty(x.shape[0], self.outputs, device=x.device)
        finish_kernel[(triton.cdiv(y.numel(), 256),)](x, y, y.numel(), BLOCK=256)
        return y
