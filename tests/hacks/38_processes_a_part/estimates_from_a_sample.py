# task: row_sum
# expect: WRONG
# because: output\[
# The sum of a row from every fourth of its elements, times four.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def sample_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = 4 * tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    tl.store(y_ptr + row, 4.0 * tl.sum(x, axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        block = triton.next_power_of_2(triton.cdiv(x.shape[1], 4))
        sample_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return y
