# task: exceeds
# expect: PASSED
# Two constants are stored; which of them, a branch decides that ends the program.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def exceeds_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    if tl.max(x, axis=0) > 2:
        tl.store(y_ptr + row, 1.0)
        return
    tl.store(y_ptr + row, 0.0)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], device=x.device)
        block = triton.next_power_of_2(x.shape[1])
        exceeds_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return y
