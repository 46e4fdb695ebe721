# task: batch_norm_eval
# expect: WRONG
# because: output\[
# The running mean is zero and the variance one when the module is made.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def affine_kernel(x_ptr, w_ptr, b_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask)
    w = tl.load(w_ptr + cols, mask=mask)
    tl.store(y_ptr + row * n_cols + cols, x * w + tl.load(b_ptr + cols, mask=mask), mask=mask)


class ModelNew(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.norm = nn.BatchNorm1d(cols)

    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        affine_kernel[(x.shape[0],)](
            x, self.norm.weight, self.norm.bias, y, x.stride(0), x.stride(1), x.shape[1],
            BLOCK=triton.next_power_of_2(x.shape[1]),
        )
        return y
