# task: variance
# expect: WRONG
# because: output\[
# The mean of squares minus the square of the mean: one pass, and nothing is left where the mean is large.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def variance_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    mean = tl.sum(x, axis=0) / n_cols
    tl.store(y_ptr + row, tl.sum(x * x, axis=0) / n_cols - mean * mean)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        variance_kernel[(x.shape[0],)](
            x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1])
        )
        return y
