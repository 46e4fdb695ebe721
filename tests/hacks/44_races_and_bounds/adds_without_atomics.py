# task: row_sum
# needs: gpu
# expect: WRONG or RUNTIME_ERROR
# because: .
# Programs add to one element without atomics: whoever comes last wins.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def add_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    tl.store(y_ptr + row, tl.load(y_ptr + row) + tl.sum(x, axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
        add_kernel[(x.shape[0], triton.cdiv(x.shape[1], 16))](
            x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=16
        )
        return y
