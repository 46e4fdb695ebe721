# task: clamp_in_place
# expect: PASSED
# In place, as the reference.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def clamp_kernel(x_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    at = x_ptr + row * x_row + cols * x_col
    x = tl.load(at, mask=cols < n_cols)
    tl.store(at, tl.clamp(x, -1.0, 1.0), mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x):
        clamp_kernel[(x.shape[0],)](x, *x.stride(), x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
        return x
