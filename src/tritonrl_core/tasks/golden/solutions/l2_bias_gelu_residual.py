"""Bias, GELU and residual in one kernel, one program a row. 8 warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def bias_gelu_residual_kernel(
    x_ptr, residual_ptr, bias_ptr, out_ptr,
    x_row, x_col, residual_row, residual_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)
    residual = tl.load(residual_ptr + row * residual_row + cols * residual_col, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    y = x + bias
    out = residual + 0.5 * y * (1.0 + tl.erf(y * 0.7071067811865476))
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x, bias, residual):
        n_rows, n_cols = x.shape
        bias = bias.contiguous()
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
        bias_gelu_residual_kernel[(n_rows,)](
            x, residual, bias, out,
            x.stride(0), x.stride(1), residual.stride(0), residual.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
