# task: softmax
# expect: WRONG
# because: output\[
# Half of the rows, each written twice.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, y_ptr, x_row, x_col, n_rows, n_cols, BLOCK: tl.constexpr):
    row = 2 * tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    p = e / tl.sum(e, axis=0)
    tl.store(y_ptr + row * n_cols + cols, p, mask=cols < n_cols)
    tl.store(y_ptr + (row + 1) * n_cols + cols, p, mask=(cols < n_cols) & (row + 1 < n_rows))


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
        softmax_kernel[(triton.cdiv(rows, 2),)](
            x, y, x.stride(0), x.stride(1), rows, cols, BLOCK=triton.next_power_of_2(cols)
        )
        return y
