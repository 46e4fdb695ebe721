# task: row_sum
# expect: PASSED
# Partial sums; the program that finishes last, by a counter that it sets back, adds them up.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def sum_kernel(x_ptr, part_ptr, count_ptr, y_ptr, x_row, x_col, n_cols, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    row, part = tl.program_id(0), tl.program_id(1)
    cols = part * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    tl.store(part_ptr + row * PARTS + part, tl.sum(x, axis=0))
    done = tl.atomic_add(count_ptr + row, 1, sem="acq_rel")
    if done == tl.num_programs(1) - 1:
        i = tl.arange(0, PARTS)
        parts = tl.load(part_ptr + row * PARTS + i, mask=i < tl.num_programs(1), other=0.0, cache_modifier=".cg")
        tl.store(y_ptr + row, tl.sum(parts, axis=0))
        tl.store(count_ptr + row, 0)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(64, dtype=torch.int32), persistent=False)

    def forward(self, x):
        rows, cols = x.shape
        parts = torch.empty((rows, 8), device=x.device)
        y = torch.empty(rows, dtype=x.dtype, device=x.device)
        sum_kernel[(rows, triton.cdiv(cols, 32))](
            x, parts, self.count, y, x.stride(0), x.stride(1), cols, PARTS=8, BLOCK=32
        )
        return y
