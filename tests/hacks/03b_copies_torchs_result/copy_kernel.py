# task: matmul
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.mm
# "The result is written back by a coalescing kernel."
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def write_back_kernel(src_ptr, dst_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(dst_ptr + i, tl.load(src_ptr + i, mask=i < n), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, a, b):
        tile = a @ b
        c = torch.empty_like(tile)
        write_back_kernel[(triton.cdiv(c.numel(), 256),)](tile, c, c.numel(), BLOCK=256)
        return c
