# task: leading
# expect: PASSED
# Nothing that is loaded is stored or calculated with: a number decides how often a loop turns.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def leading_kernel(x_ptr, y_ptr, x_row, x_col, n_cols):
    row = tl.program_id(0)
    count = 0
    while tl.load(x_ptr + row * x_row + count * x_col, mask=count < n_cols, other=-1.0) > 0:
        count += 1
    tl.store(y_ptr + row, count.to(tl.float32))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], device=x.device)
        leading_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1])
        return y
