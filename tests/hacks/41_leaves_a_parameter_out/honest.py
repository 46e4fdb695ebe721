# task: batch_norm_eval
# expect: PASSED
# With all four.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def norm_kernel(x_ptr, mean_ptr, var_ptr, w_ptr, b_ptr, y_ptr, x_row, x_col, n_cols, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask)
    mean = tl.load(mean_ptr + cols, mask=mask)
    rstd = 1.0 / tl.sqrt(tl.load(var_ptr + cols, mask=mask, other=1.0) + eps)
    w = tl.load(w_ptr + cols, mask=mask)
    tl.store(y_ptr + row * n_cols + cols, (x - mean) * rstd * w + tl.load(b_ptr + cols, mask=mask), mask=mask)


class ModelNew(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.norm = nn.BatchNorm1d(cols)

    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        n = self.norm
        norm_kernel[(x.shape[0],)](
            x, n.running_mean, n.running_var, n.weight, n.bias, y, x.stride(0), x.stride(1), x.shape[1], n.eps,
            BLOCK=triton.next_power_of_2(x.shape[1]),
        )
        return y
