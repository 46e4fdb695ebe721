"""One program an image and channel: mean, then squared differences, then the result, in blocks of 1024
with 8 warps. The second and third reading come from cache.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def instance_norm_kernel(x_ptr, weight_ptr, bias_ptr, out_ptr, groups, group_channels, pixels, BLOCK: tl.constexpr):
    group = tl.program_id(0)
    size = group_channels * pixels
    x_ptr += group * size
    out_ptr += group * size
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, size, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + offsets, mask=offsets < size, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / size
    squares = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, size, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        mask = offsets < size
        centred = tl.where(mask, tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32) - mean, 0.0)
        squares += centred * centred
    scale = tl.rsqrt(tl.sum(squares, axis=0) / size + 1e-5)
    for start in range(0, size, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        mask = offsets < size
        channel = group % groups * group_channels + offsets // pixels
        x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + channel, mask=mask, other=0.0).to(tl.float32)
        bias = tl.load(bias_ptr + channel, mask=mask, other=0.0).to(tl.float32)
        out = (x - mean) * scale * weight + bias
        tl.store(out_ptr + offsets, out, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = torch.nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        groups = channels
        out = torch.empty_like(x)
        instance_norm_kernel[(batch * groups,)](
            x, self.norm.weight, self.norm.bias, out,
            groups, channels // groups, height * width, BLOCK=1024, num_warps=8,
        )
        return out
