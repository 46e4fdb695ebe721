# task: batch_norm_train
# expect: PASSED
# Batch norm in training mode, which keeps the running mean and variance.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def norm_kernel(
    x_ptr, w_ptr, b_ptr, mean_ptr, var_ptr, y_ptr, n_rows, n_cols, x_row, x_col, eps, momentum, BLOCK: tl.constexpr
):
    col = tl.program_id(0)
    rows = tl.arange(0, BLOCK)
    mask = rows < n_rows
    x = tl.load(x_ptr + rows * x_row + col * x_col, mask=mask, other=0.0)
    mean = tl.sum(x, axis=0) / n_rows
    d = tl.where(mask, x - mean, 0.0)
    var = tl.sum(d * d, axis=0) / n_rows
    y = d / tl.sqrt(var + eps) * tl.load(w_ptr + col) + tl.load(b_ptr + col)
    tl.store(y_ptr + rows * n_cols + col, y, mask=mask)
    tl.store(mean_ptr + col, tl.load(mean_ptr + col) * (1 - momentum) + mean * momentum)
    unbiased = var * n_rows / (n_rows - 1)
    tl.store(var_ptr + col, tl.load(var_ptr + col) * (1 - momentum) + unbiased * momentum)


class ModelNew(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.norm = nn.BatchNorm1d(cols)

    def forward(self, x):
        n = self.norm
        rows, cols = x.shape
        y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
        n.num_batches_tracked += 1
        norm_kernel[(cols,)](
            x, n.weight, n.bias, n.running_mean, n.running_var, y, rows, cols, x.stride(0), x.stride(1), n.eps,
            n.momentum, BLOCK=triton.next_power_of_2(rows),
        )
        return y
