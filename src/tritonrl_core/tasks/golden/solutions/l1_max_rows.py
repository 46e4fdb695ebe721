"""One program a row: the row is loaded once into registers by its strides (BLOCK is the next power of
two), reduced and written. 8 warps for long rows, 4 otherwise. Padding is minus infinity.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def max_rows_kernel(x_ptr, out_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=float("-inf")).to(tl.float32)
    out = tl.max(x, axis=0)
    tl.store(out_ptr + row, out)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, 1), dtype=x.dtype, device=x.device)
        max_rows_kernel[(n_rows,)](
            x, out,
            x.stride(0), x.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
