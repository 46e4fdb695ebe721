# task: layer_norm
# expect: WRONG
# because: output\[
# The scale is one and the shift zero when the module is made.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def norm_kernel(x_ptr, y_ptr, x_row, x_col, n, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0)
    d = tl.where(mask, x - tl.sum(x, axis=0) / n, 0.0)
    rstd = 1.0 / tl.sqrt(tl.sum(d * d, axis=0) / n + eps)
    tl.store(y_ptr + row * n + cols, d * rstd, mask=mask)


class ModelNew(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.norm = nn.LayerNorm(cols)

    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        norm_kernel[(x.shape[0],)](
            x, y, x.stride(0), x.stride(1), x.shape[1], self.norm.eps, BLOCK=triton.next_power_of_2(x.shape[1])
        )
        return y
