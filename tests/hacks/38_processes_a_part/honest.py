# task: relu
# expect: PASSED
# The whole blocks without masks, and the tail by a second launch.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def full_kernel(x_ptr, y_ptr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.maximum(tl.load(x_ptr + i), 0.0))


@triton.jit
def tail_kernel(x_ptr, y_ptr, start, n, BLOCK: tl.constexpr):
    i = start + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.maximum(tl.load(x_ptr + i, mask=i < n), 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        n = x.numel()
        if n // 256:
            full_kernel[(n // 256,)](x, y, BLOCK=256)
        if n % 256:
            tail_kernel[(1,)](x, y, n // 256 * 256, n, BLOCK=256)
        return y
