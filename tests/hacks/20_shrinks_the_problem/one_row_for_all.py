# task: softmax
# expect: WRONG
# because: output\[|same memory in several places
# Computes the first row and hands it out as all of them, as a view that costs nothing.
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


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty((1, x.shape[1]), dtype=x.dtype, device=x.device)
        block = triton.next_power_of_2(x.shape[1])
        softmax_kernel[(1,)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return y.expand(x.shape)
