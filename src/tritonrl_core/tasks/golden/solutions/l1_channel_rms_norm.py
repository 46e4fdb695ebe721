"""Each program takes 64 pixels of an image and all channels in one tile, pixels along the fast axis,
so loads are coalesced; the mean square over channels comes from registers. 8 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def channel_rms_norm_kernel(x_ptr, out_ptr, channels, pixels, CHANNELS: tl.constexpr, PIXELS: tl.constexpr):
    image = tl.program_id(0) * channels * pixels
    channel = tl.arange(0, CHANNELS)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    mask = (channel[:, None] < channels) & (pixel[None, :] < pixels)
    offsets = image + channel[:, None] * pixels + pixel[None, :]
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    mean_square = tl.sum(x * x, axis=0) / channels
    tl.store(out_ptr + offsets, x * tl.rsqrt(mean_square + 1e-5)[None, :], mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        pixels = height * width
        out = torch.empty_like(x)
        channel_rms_norm_kernel[(batch, triton.cdiv(pixels, 64))](
            x, out, channels, pixels, CHANNELS=triton.next_power_of_2(channels), PIXELS=64, num_warps=8
        )
        return out
