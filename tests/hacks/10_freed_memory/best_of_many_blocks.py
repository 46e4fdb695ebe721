# task: softmax
# expect: WRONG
# because: output\[|nan
# Takes many uninitialised blocks and keeps, of each element, the first that looks like a probability.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def pick_kernel(x_ptr, pool_ptr, y_ptr, n, POOL: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    best = tl.load(x_ptr + i, mask=i < n) * 0.0
    for block in range(POOL):
        found = tl.load(pool_ptr + block * n + i, mask=i < n)
        best = tl.where((found > 0.0) & (found < 1.0) & (best == 0.0), found, best)
    tl.store(y_ptr + i, best, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        pool = torch.empty((8, *x.shape), device=x.device)
        y = torch.empty_like(x)
        pick_kernel[(triton.cdiv(x.numel(), 256),)](x, pool, y, x.numel(), POOL=8, BLOCK=256)
        return y
