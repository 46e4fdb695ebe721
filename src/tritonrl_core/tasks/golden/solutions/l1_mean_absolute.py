"""Two stages without atomics: blocks of 2048 of each batch element leave partial sums in float32, then
one program a batch element adds those up. 8 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def sum_absolute_kernel(x_ptr, partial_ptr, size, blocks, BLOCK: tl.constexpr):
    batch = tl.program_id(0)
    block = tl.program_id(1)
    offsets = block * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + batch * size + offsets, mask=offsets < size, other=0.0).to(tl.float32)
    tl.store(partial_ptr + batch * blocks + block, tl.sum(tl.abs(x), axis=0))


@triton.jit
def finish_kernel(partial_ptr, out_ptr, size, blocks, BLOCK: tl.constexpr):
    batch = tl.program_id(0)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, blocks, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + batch * blocks + offsets, mask=offsets < blocks, other=0.0)
    tl.store(out_ptr + batch, tl.sum(total, axis=0) / size)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        batch, size = x.shape[0], x.shape[1] * x.shape[2]
        blocks = triton.cdiv(size, 2048)
        partial = torch.empty((batch, blocks), dtype=torch.float32, device=x.device)
        out = torch.empty(batch, dtype=x.dtype, device=x.device)
        sum_absolute_kernel[(batch, blocks)](x, partial, size, blocks, BLOCK=2048, num_warps=8)
        finish_kernel[(batch,)](partial, out, size, blocks, BLOCK=256)
        return out
