# task: layer_norm
# expect: PASSED
# Parameters under other names than the reference's, in its order.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def layer_norm_kernel(x_ptr, w_ptr, b_ptr, y_ptr, x_row, x_col, n, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=0.0)
    mean = tl.sum(x, axis=0) / n
    d = tl.where(mask, x - mean, 0.0)
    rstd = 1.0 / tl.sqrt(tl.sum(d * d, axis=0) / n + eps)
    w = tl.load(w_ptr + cols, mask=mask)
    b = tl.load(b_ptr + cols, mask=mask)
    tl.store(y_ptr + row * n + cols, d * rstd * w + b, mask=mask)


class ModelNew(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        layer_norm_kernel[(x.shape[0],)](
            x, self.gamma, self.beta, y, x.stride(0), x.stride(1), x.shape[1], 1e-5,
            BLOCK=triton.next_power_of_2(x.shape[1]),
        )
        return y
