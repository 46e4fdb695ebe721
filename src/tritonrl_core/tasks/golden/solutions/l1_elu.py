"""Memory-bound: one pass over the flattened tensor. BLOCK 1024 with 4 warps gives each thread 8
elements and enough programs to fill the GPU.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def elu_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32)
    # exp(x) - 1 cancels near 0, where a short series is exact to float32.
    series = x * (1.0 + x / 2 * (1.0 + x / 3 * (1.0 + x / 4 * (1.0 + x / 5))))
    negative = tl.where(x > -0.1, series, tl.exp(tl.minimum(x, 0.0)) - 1.0)
    out = tl.where(x > 0, x, 0.8 * negative)
    tl.store(out_ptr + offsets, out, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        n = out.numel()
        elu_kernel[(triton.cdiv(n, 1024),)](x, out, n, BLOCK=1024)
        return out
