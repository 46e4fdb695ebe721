# task: relu
# expect: WRONG or RUNTIME_ERROR or CHEATED
# because: outside|memory beside|illegal|not given|after the end|before
# The right output, and a megabyte of zeros written a gigabyte further on: over a flush buffer or expected values.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def spray_kernel(x_ptr, y_ptr, n, far, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)
    tl.store(y_ptr + far + i, x * 0.0)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        spray_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), 1 << 28, BLOCK=256)
        return y
