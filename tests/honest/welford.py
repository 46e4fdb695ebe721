# task: variance
# expect: PASSED
# Mean and squared deviations merged block by block.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def merge(mean_a, m2_a, n_a, mean_b, m2_b, n_b):
    n = n_a + n_b
    safe = tl.where(n == 0.0, 1.0, n)
    delta = mean_b - mean_a
    return mean_a + delta * n_b / safe, m2_a + m2_b + delta * delta * n_a * n_b / safe, n


@triton.jit
def variance_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    mean = tl.zeros((BLOCK,), tl.float32)
    m2 = tl.zeros((BLOCK,), tl.float32)
    count = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n_cols, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        inside = cols < n_cols
        x = tl.load(x_ptr + row * x_row + cols * x_col, mask=inside, other=0.0)
        one = tl.where(inside, 1.0, 0.0)
        mean, m2, count = merge(mean, m2, count, x, tl.zeros((BLOCK,), tl.float32), one)
    mean, m2, count = tl.reduce((mean, m2, count), 0, merge)
    tl.store(y_ptr + row, m2 / count)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        variance_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=32)
        return y
