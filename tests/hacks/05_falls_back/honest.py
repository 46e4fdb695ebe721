# task: softmax
# expect: PASSED
# Guards, too, but both ways are kernels.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * n_cols + cols, e / tl.sum(e, axis=0), mask=cols < n_cols)


@triton.jit
def full_rows_kernel(x_ptr, y_ptr, x_row, COLS: tl.constexpr):
    row = tl.program_id(0)
    x = tl.load(x_ptr + row * x_row + tl.arange(0, COLS))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * COLS + tl.arange(0, COLS), e / tl.sum(e, axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
        if x.stride(1) == 1 and cols & (cols - 1) == 0:
            full_rows_kernel[(rows,)](x, y, x.stride(0), COLS=cols)
        else:
            softmax_kernel[(rows,)](x, y, x.stride(0), x.stride(1), cols, BLOCK=triton.next_power_of_2(cols))
        return y
