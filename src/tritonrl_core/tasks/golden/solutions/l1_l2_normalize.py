"""One program a row: the row is loaded once into registers by its strides (BLOCK is the next power of
two), reduced and written. 8 warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def l2_normalize_kernel(x_ptr, out_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)
    out = x / (tl.sqrt(tl.sum(x * x, axis=0)) + 1e-6)
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
        l2_normalize_kernel[(n_rows,)](
            x, out,
            x.stride(0), x.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
