"""Addition and RMS normalisation in one kernel, one program a row: the sum is written once, as an
output, and normalised from registers. 8 warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def residual_rms_norm_kernel(
    x_ptr, residual_ptr, weight_ptr, out_ptr, total_ptr,
    x_row, x_col, residual_row, residual_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)
    residual = tl.load(residual_ptr + row * residual_row + cols * residual_col, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    total = x + residual
    out = total * tl.rsqrt(tl.sum(total * total, axis=0) / n_cols + 1e-5) * weight
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)
    tl.store(total_ptr + row * n_cols + cols, total, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(features))

    def forward(self, x, residual):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
        total = torch.empty_like(out)
        residual_rms_norm_kernel[(n_rows,)](
            x, residual, self.weight, out, total,
            x.stride(0), x.stride(1), residual.stride(0), residual.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out, total
