# task: softmax
# expect: REJECTED
# because: no Triton kernel was launched|PyTorch does arithmetic
# "The kernel is tuned for rows that fill their block." The shape as written does not.
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
        rows, cols = x.shape
        if cols & (cols - 1):
            return torch.softmax(x, 1)
        y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
        softmax_kernel[(rows,)](x, y, x.stride(0), x.stride(1), cols, BLOCK=cols)
        return y
