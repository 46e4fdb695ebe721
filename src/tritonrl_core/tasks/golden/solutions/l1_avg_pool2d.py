"""One pass over the outputs in blocks of 512, 4 warps; the four elements of a window are loaded by
name.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def avg_pool2d_kernel(x_ptr, out_ptr, n, height, width, out_height, out_width, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    plane = offsets // (out_height * out_width)
    row = offsets // out_width % out_height * 2
    start = x_ptr + (plane * height + row) * width + offsets % out_width * 2
    a = tl.load(start, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(start + 1, mask=mask, other=0.0).to(tl.float32)
    c = tl.load(start + width, mask=mask, other=0.0).to(tl.float32)
    d = tl.load(start + width + 1, mask=mask, other=0.0).to(tl.float32)
    out = (a + b + c + d) * 0.25
    tl.store(out_ptr + offsets, out, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, channels, height, width = x.shape
        out = torch.empty((batch, channels, height // 2, width // 2), dtype=x.dtype, device=x.device)
        n = out.numel()
        avg_pool2d_kernel[(triton.cdiv(n, 512),)](x, out, n, height, width, height // 2, width // 2, BLOCK=512)
        return out
