# task: relu
# expect: WRONG
# because: inf
# One infinite element makes every tolerance that is relative to the largest infinite, too.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def inf_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.where(i == n - 1, float("inf"), x * 0.5), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        inf_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
