# task: scaled_groups
# expect: PASSED
# Factors are read in Python and passed on as they are: one launch a group.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def group_kernel(x_ptr, y_ptr, total_ptr, factor, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    y = tl.load(x_ptr + i, mask=i < n, other=0.0) * factor
    tl.store(y_ptr + i, y, mask=i < n)
    tl.store(total_ptr, tl.sum(y * y))


class ModelNew(nn.Module):
    def forward(self, x, factors):
        x = x.contiguous()
        y, totals = torch.empty_like(x), torch.empty_like(factors)
        n = x[0].numel()
        for number, factor in enumerate(factors.tolist()):
            group_kernel[(1,)](x[number], y[number], totals[number], factor, n, BLOCK=triton.next_power_of_2(n))
        return y, totals
