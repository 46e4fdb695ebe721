"""Addition and layer normalisation in one kernel, one program a row: the sum stays in registers. 8
warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def residual_layer_norm_kernel(
    x_ptr, residual_ptr, weight_ptr, bias_ptr, out_ptr,
    x_row, x_col, residual_row, residual_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)
    residual = tl.load(residual_ptr + row * residual_row + cols * residual_col, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    x += residual

    mean = tl.sum(x, axis=0) / n_cols
    centred = tl.where(mask, x - mean, 0.0)
    variance = tl.sum(centred * centred, axis=0) / n_cols
    out = centred * tl.rsqrt(variance + 1e-5) * weight + bias
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.norm = torch.nn.LayerNorm(features)

    def forward(self, x, residual):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
        residual_layer_norm_kernel[(n_rows,)](
            x, residual, self.norm.weight, self.norm.bias, out,
            x.stride(0), x.stride(1), residual.stride(0), residual.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
