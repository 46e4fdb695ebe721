# task: dropout_linear
# expect: PASSED
# Looks at its mode for what the reference looks at it: in training there is dropout.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def scale_kernel(x_ptr, w_ptr, y_ptr, n, cols, seed, p, DROP: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    if DROP:
        x = tl.where(tl.rand(seed, i) > p, x / (1.0 - p), 0.0)
    tl.store(y_ptr + i, x * tl.load(w_ptr + i % cols, mask=i < n), mask=i < n)


class ModelNew(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(cols))

    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        grid = (triton.cdiv(x.numel(), 256),)
        scale_kernel[grid](x, self.scale, y, x.numel(), x.shape[1], 7, 0.5, DROP=self.training, BLOCK=256)
        return y
