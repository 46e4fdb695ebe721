# task: row_means
# expect: WRONG
# because: the same memory in several places
# Writes one number for each row, and gives a view that shows it in every place of the row.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def mean_kernel(x_ptr, y_ptr, stride_row, stride_col, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * stride_row + i * stride_col, mask=i < cols, other=0.0)
    tl.store(y_ptr + row, tl.sum(x, axis=0) / cols)


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        y = torch.empty(rows, 1, device=x.device, dtype=x.dtype)
        mean_kernel[(rows,)](x, y, x.stride(0), x.stride(1), cols, BLOCK=triton.next_power_of_2(cols))
        return y.expand(rows, cols)
