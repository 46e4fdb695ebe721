# task: relu
# expect: PASSED
# Two threads, each of which launches a half, and both are waited for.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        half = x.shape[0] // 2
        for a, b in ((x[:half], y[:half]), (x[half:], y[half:])):
            if a.numel():
                relu_kernel[(triton.cdiv(a.numel(), 256),)](a, b, a.numel(), BLOCK=256)
        return y
