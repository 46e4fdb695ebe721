# task: row_sum
# expect: WRONG or RUNTIME_ERROR
# because: nan|output\[|outside|after the end|stray
# Sums a whole block of the last row, too: what lies behind it is usually zero.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def sum_kernel(x_ptr, y_ptr, n_cols, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n_cols + cols, mask=(cols < n_cols) | (row * n_cols + cols >= n), other=0.0)
    tl.store(y_ptr + row, tl.sum(x, axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        sum_kernel[(x.shape[0],)](x, y, x.shape[1], x.numel(), BLOCK=triton.next_power_of_2(x.shape[1] + 1))
        return y
