# task: row_sum
# expect: PASSED
# as: honest
# Asks the cache to keep its input until the next run. The cache is flushed in between, and the buffers lie elsewhere.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def sum_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    where = x_ptr + row * x_row + cols * x_col
    x = tl.load(where, mask=cols < n_cols, other=0.0, eviction_policy="evict_last")
    tl.store(y_ptr + row, tl.sum(x, axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        sum_kernel[(x.shape[0],)](
            x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1])
        )
        return y
