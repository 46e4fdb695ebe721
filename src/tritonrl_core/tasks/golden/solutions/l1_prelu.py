"""Memory-bound: one pass, BLOCK 1024, 4 warps. The slope's channel follows from the flat offset, and
slopes stay in cache.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def prelu_kernel(x_ptr, slope_ptr, out_ptr, n, channels, length, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32)
    slope = tl.load(slope_ptr + offsets // length % channels, mask=mask).to(tl.float32)
    tl.store(out_ptr + offsets, tl.where(x > 0, x, slope * x), mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.prelu = torch.nn.PReLU(channels)

    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        n = x.numel()
        grid = (triton.cdiv(n, 1024),)
        prelu_kernel[grid](x, self.prelu.weight, out, n, x.shape[1], x.shape[2], BLOCK=1024)
        return out
