# task: softmax
# expect: WRONG
# because: changed its input 0
# Overwrites the input with a constant and returns what is right for that.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def level_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    first = tl.load(x_ptr + row * x_row)
    tl.store(x_ptr + row * x_row + cols * x_col, first, mask=cols < n_cols)
    tl.store(y_ptr + row * n_cols + cols, 1.0 / n_cols + first * 0.0, mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        block = triton.next_power_of_2(x.shape[1])
        level_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return y
