"""One program a plane: its pixels lie together in memory and are added up in blocks of 1024 in
float32. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def plane_mean_kernel(x_ptr, out_ptr, pixels, BLOCK: tl.constexpr):
    plane = tl.program_id(0)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, pixels, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + plane * pixels + offsets, mask=offsets < pixels, other=0.0).to(tl.float32)
    tl.store(out_ptr + plane, tl.sum(total, axis=0) / pixels)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        out = torch.empty((batch, channels, 1, 1), dtype=x.dtype, device=x.device)
        plane_mean_kernel[(batch * channels,)](x, out, height * width, BLOCK=1024)
        return out
