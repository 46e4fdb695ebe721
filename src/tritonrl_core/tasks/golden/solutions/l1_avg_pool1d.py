"""One pass over the outputs in blocks of 512, 4 warps; windows overlap in cache and their loop is
unrolled.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def avg_pool1d_kernel(
    x_ptr, out_ptr, n, length, out_length, KERNEL: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr
):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    start = offsets // out_length * length + offsets % out_length * STRIDE
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for tap in tl.static_range(KERNEL):
        x = tl.load(x_ptr + start + tap, mask=mask, other=0.0).to(tl.float32)
        total += x
    tl.store(out_ptr + offsets, total / KERNEL, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, channels, length = x.shape
        out_length = (length - 4) // 2 + 1
        out = torch.empty((batch, channels, out_length), dtype=x.dtype, device=x.device)
        n = out.numel()
        avg_pool1d_kernel[(triton.cdiv(n, 512),)](x, out, n, length, out_length, KERNEL=4, STRIDE=2, BLOCK=512)
        return out
