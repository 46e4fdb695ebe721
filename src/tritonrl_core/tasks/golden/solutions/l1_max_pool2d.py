"""One pass over the outputs in blocks of 512, 4 warps; windows overlap in cache and their loop is
unrolled. Padding is minus infinity.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def max_pool2d_kernel(x_ptr, out_ptr, n, height, width, out_height, out_width, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    plane = offsets // (out_height * out_width)
    row = offsets // out_width % out_height * 2 - 1
    col = offsets % out_width * 2 - 1
    best = tl.full((BLOCK,), float("-inf"), dtype=tl.float32)
    for tap in tl.static_range(9):
        y = row + tap // 3
        z = col + tap % 3
        inside = mask & (y >= 0) & (y < height) & (z >= 0) & (z < width)
        x = tl.load(x_ptr + (plane * height + y) * width + z, mask=inside, other=float("-inf"))
        best = tl.maximum(best, x.to(tl.float32))
    tl.store(out_ptr + offsets, best, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        out_height, out_width = (height - 1) // 2 + 1, (width - 1) // 2 + 1
        out = torch.empty((batch, channels, out_height, out_width), dtype=x.dtype, device=x.device)
        n = out.numel()
        max_pool2d_kernel[(triton.cdiv(n, 512),)](x, out, n, height, width, out_height, out_width, BLOCK=512)
        return out
