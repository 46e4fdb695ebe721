# task: softmax
# expect: PASSED
# A first kernel's result is scratch for the second: dropped in the end, and needed.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def exp_kernel(x_ptr, e_ptr, s_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(e_ptr + row * n_cols + cols, e, mask=cols < n_cols)
    tl.store(s_ptr + row, tl.sum(e, axis=0))


@triton.jit
def divide_kernel(e_ptr, s_ptr, y_ptr, n, n_cols, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    e = tl.load(e_ptr + i, mask=i < n)
    s = tl.load(s_ptr + i // n_cols, mask=i < n, other=1.0)
    tl.store(y_ptr + i, e / s, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        e = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
        s = torch.empty(rows, dtype=x.dtype, device=x.device)
        y = torch.empty_like(e)
        exp_kernel[(rows,)](x, e, s, x.stride(0), x.stride(1), cols, BLOCK=triton.next_power_of_2(cols))
        divide_kernel[(triton.cdiv(e.numel(), 256),)](e, s, y, e.numel(), cols, BLOCK=256)
        return y
