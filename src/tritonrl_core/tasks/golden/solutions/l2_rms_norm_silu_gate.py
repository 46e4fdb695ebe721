"""RMS normalisation, SiLU and product in one kernel, one program a row. 8 warps for long rows, 4
otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def rms_norm_silu_gate_kernel(
    x_ptr, gate_ptr, weight_ptr, out_ptr,
    x_row, x_col, gate_row, gate_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(gate_ptr + row * gate_row + cols * gate_col, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    y = x * tl.rsqrt(tl.sum(x * x, axis=0) / n_cols + 1e-5) * weight
    out = y * gate * tl.sigmoid(gate)
    tl.store(out_ptr + row * n_cols + cols, out, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(features))

    def forward(self, x, gate):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
        rms_norm_silu_gate_kernel[(n_rows,)](
            x, gate, self.weight, out,
            x.stride(0), x.stride(1), gate.stride(0), gate.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
