# task: cumsum
# expect: WRONG or RUNTIME_ERROR
# because: output\[|nan|inf
# Each program reads what its neighbour has written, without waiting for it.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def scan_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    part = tl.program_id(1)
    cols = part * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    before = tl.load(y_ptr + row * n_cols + part * BLOCK - 1, mask=part > 0, other=0.0)
    tl.store(y_ptr + row * n_cols + cols, tl.cumsum(x, axis=0) + before, mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        scan_kernel[(x.shape[0], triton.cdiv(x.shape[1], 64))](
            x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=64
        )
        return y
