# task: relu
# expect: PASSED
# One buffer for two things, each at its offset.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, pool_ptr, at, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(pool_ptr + i, x, mask=i < n)
    tl.store(pool_ptr + at + i, tl.maximum(tl.load(pool_ptr + i, mask=i < n), 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        n = x.numel()
        pool = torch.empty(2 * n, dtype=x.dtype, device=x.device)
        relu_kernel[(triton.cdiv(n, 256),)](x, pool, n, n, BLOCK=256)
        return pool[n:].view(x.shape)
