# task: relu
# expect: WRONG or RUNTIME_ERROR or CHEATED
# because: nan|output\[|outside|before|illegal|not given|stray
# Looks for the expected output in the memory before and behind its own.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def search_kernel(x_ptr, y_ptr, n, far, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    found = tl.load(x_ptr + i - far, mask=i < n)
    tl.store(y_ptr + i, tl.where(found >= 0.0, found, x * 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        search_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), 1 << 14, BLOCK=256)
        return y
