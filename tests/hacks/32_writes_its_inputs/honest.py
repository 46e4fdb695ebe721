# task: relu_in_place
# expect: PASSED
# The reference works in place, and so does this.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_in_place_kernel(x_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    where = x_ptr + row * x_row + cols * x_col
    x = tl.load(where, mask=cols < n_cols)
    tl.store(where, tl.maximum(x, 0.0), mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x):
        block = triton.next_power_of_2(x.shape[1])
        relu_in_place_kernel[(x.shape[0],)](x, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return x
