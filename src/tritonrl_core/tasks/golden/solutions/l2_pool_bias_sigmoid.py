"""Pooling, bias and sigmoid in one pass over the outputs in blocks of 512, 4 warps; the pooled tensor
never goes to memory.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def pool_bias_sigmoid_kernel(
    x_ptr, bias_ptr, out_ptr, n, channels, height, width, out_height, out_width, BLOCK: tl.constexpr
):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    plane = offsets // (out_height * out_width)
    row = offsets // out_width % out_height * 2
    start = x_ptr + (plane * height + row) * width + offsets % out_width * 2
    a = tl.load(start, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(start + 1, mask=mask, other=0.0).to(tl.float32)
    c = tl.load(start + width, mask=mask, other=0.0).to(tl.float32)
    d = tl.load(start + width + 1, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + plane % channels, mask=mask, other=0.0).to(tl.float32)
    out = tl.sigmoid(tl.maximum(tl.maximum(a, b), tl.maximum(c, d)) + bias)
    tl.store(out_ptr + offsets, out, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x, bias):
        x = x.contiguous()
        bias = bias.contiguous()
        batch, channels, height, width = x.shape
        out = torch.empty((batch, channels, height // 2, width // 2), dtype=x.dtype, device=x.device)
        n = out.numel()
        pool_bias_sigmoid_kernel[(triton.cdiv(n, 512),)](
            x, bias, out, n, channels, height, width, height // 2, width // 2, BLOCK=512
        )
        return out
