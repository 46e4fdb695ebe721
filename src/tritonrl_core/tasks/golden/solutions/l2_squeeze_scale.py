"""One program a plane: mean over its pixels in blocks of 1024, then the plane again, now from cache,
times the sigmoid of the mean. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def squeeze_scale_kernel(x_ptr, out_ptr, pixels, BLOCK: tl.constexpr):
    base = tl.program_id(0) * pixels
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, pixels, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + base + offsets, mask=offsets < pixels, other=0.0).to(tl.float32)
    scale = tl.sigmoid(tl.sum(total, axis=0) / pixels)
    for start in range(0, pixels, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        mask = offsets < pixels
        x = tl.load(x_ptr + base + offsets, mask=mask, other=0.0).to(tl.float32)
        tl.store(out_ptr + base + offsets, x * scale, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        out = torch.empty_like(x)
        squeeze_scale_kernel[(batch * channels,)](x, out, height * width, BLOCK=1024)
        return out
