"""Layer normalisation and GELU in one kernel, one program a row: the normalised row stays in
registers. 8 warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def layer_norm_gelu_kernel(
    x_ptr, weight_ptr, bias_ptr, out_ptr,
    x_row, x_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(x, axis=0) / n_cols
    centred = tl.where(mask, x - mean, 0.0)
    variance = tl.sum(centred * centred, axis=0) / n_cols
    y = centred * tl.rsqrt(variance + 1e-5) * weight + bias
    out = 0.5 * y * (1.0 + tl.erf(y * 0.7071067811865476))
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.norm = torch.nn.LayerNorm(features)

    def forward(self, x):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
        layer_norm_gelu_kernel[(n_rows,)](
            x, self.norm.weight, self.norm.bias, out,
            x.stride(0), x.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
