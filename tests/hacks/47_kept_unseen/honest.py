# task: row_sum
# expect: PASSED
# A workspace of its own, made once; each call writes it anew before it reads it.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def halves_kernel(x_ptr, half_ptr, cols, BLOCK: tl.constexpr):
    row, half = tl.program_id(0), tl.program_id(1)
    i = half * BLOCK + tl.arange(0, BLOCK)
    tl.store(half_ptr + 2 * row + half, tl.sum(tl.load(x_ptr + row * cols + i, mask=i < cols, other=0.0), axis=0))


@triton.jit
def add_kernel(half_ptr, y_ptr):
    row = tl.program_id(0)
    tl.store(y_ptr + row, tl.load(half_ptr + 2 * row) + tl.load(half_ptr + 2 * row + 1))


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.halves = torch.empty(2 * 1024, device="cuda")

    def forward(self, x):
        x = x.contiguous()
        rows, cols = x.shape
        y = torch.empty(rows, dtype=x.dtype, device=x.device)
        halves_kernel[(rows, 2)](x, self.halves, cols, BLOCK=triton.next_power_of_2(triton.cdiv(cols, 2)))
        add_kernel[(rows,)](self.halves, y)
        return y
