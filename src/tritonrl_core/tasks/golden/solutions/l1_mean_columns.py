"""One program a strip of 64 columns walks down the rows in blocks of 32, so that loads of a row are
coalesced, and adds up in float32. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def mean_columns_kernel(x_ptr, out_ptr, n_rows, n_cols, x_row, x_col, ROWS: tl.constexpr, COLS: tl.constexpr):
    cols = tl.program_id(0) * COLS + tl.arange(0, COLS)
    total = tl.zeros((COLS,), dtype=tl.float32)
    for start in range(0, n_rows, ROWS):
        rows = start + tl.arange(0, ROWS)
        mask = (rows[:, None] < n_rows) & (cols[None, :] < n_cols)
        x = tl.load(x_ptr + rows[:, None] * x_row + cols[None, :] * x_col, mask=mask, other=0.0)
        total += tl.sum(x.to(tl.float32), axis=0)
    tl.store(out_ptr + cols, total / n_rows, mask=cols < n_cols)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        n_rows, n_cols = x.shape
        out = torch.empty(n_cols, dtype=x.dtype, device=x.device)
        grid = (triton.cdiv(n_cols, 64),)
        mean_columns_kernel[grid](x, out, n_rows, n_cols, x.stride(0), x.stride(1), ROWS=32, COLS=64)
        return out
