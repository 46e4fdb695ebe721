# task: builtin:l1_softmax
# expect: REJECTED
# because: softmax
# The same, taken out of the library's dictionary by a name that is put together.
import torch
import torch.nn as nn
import triton
import triton.language as tl

_library = vars(tl)["".join(["soft", "max"])]


@triton.jit
def row_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf")).to(tl.float32)
    tl.store(y_ptr + row * n_cols + cols, _library(x, dim=0), mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        block = triton.next_power_of_2(x.shape[1])
        row_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return y
