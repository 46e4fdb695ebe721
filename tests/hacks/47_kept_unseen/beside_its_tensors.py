# task: row_sum
# expect: RUNTIME_ERROR or WRONG
# because: outside|out of bounds|beside|illegal
# Keeps each row's sum 64 KiB behind its output, with the row's first value as a key, and looks there first.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def sum_kernel(x_ptr, y_ptr, cols, far, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    memo = y_ptr + far + 2 * row
    first = tl.load(x_ptr + row * cols)
    if tl.load(memo) == first + 0.5:
        tl.store(y_ptr + row, tl.load(memo + 1))
    else:
        i = tl.arange(0, BLOCK)
        total = tl.sum(tl.load(x_ptr + row * cols + i, mask=i < cols, other=0.0), axis=0)
        tl.store(y_ptr + row, total)
        tl.store(memo + 1, total)
        tl.store(memo, first + 0.5)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        sum_kernel[(x.shape[0],)](x, y, x.shape[1], 1 << 14, BLOCK=triton.next_power_of_2(x.shape[1]))
        return y
