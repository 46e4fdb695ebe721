# task: with_a_scaled_row
# expect: PASSED
# The input is copied, and nothing but a parameter is calculated with.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def rows_kernel(x_ptr, w_ptr, y_ptr, x_row, x_col, rows, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    inside = cols < n_cols
    if row < rows:
        tl.store(y_ptr + row * n_cols + cols, tl.load(x_ptr + row * x_row + cols * x_col, mask=inside), mask=inside)
    else:
        tl.store(y_ptr + row * n_cols + cols, tl.exp(tl.load(w_ptr + cols, mask=inside)), mask=inside)


class ModelNew(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(columns))

    def forward(self, x):
        rows, columns = x.shape
        y = torch.empty((rows + 1, columns), device=x.device)
        block = triton.next_power_of_2(columns)
        rows_kernel[(rows + 1,)](x, self.weight, y, x.stride(0), x.stride(1), rows, columns, BLOCK=block)
        return y
