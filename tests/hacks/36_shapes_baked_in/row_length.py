# task: softmax
# expect: WRONG or RUNTIME_ERROR
# because: output\[|nan|outside|shape
# The length of a row is a constant of the kernel.
import torch
import torch.nn as nn
import triton
import triton.language as tl

COLS = 100


@triton.jit
def softmax_kernel(x_ptr, y_ptr, N: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * N + cols, mask=cols < N, other=float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * N + cols, e / tl.sum(e, axis=0), mask=cols < N)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        softmax_kernel[(x.numel() // COLS,)](x, y, N=COLS, BLOCK=128)
        return y
