# task: matmul
# delegation: reported
# expect: CHEATED
# because: only copied by Triton kernels|made of the inputs without any Triton kernel
# The same where the task reports torch's work instead of forbidding it: a copy is still no work.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def write_back_kernel(src_ptr, dst_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(src_ptr + i, mask=i < n)
    tl.store(dst_ptr + i, value.to(tl.float64).to(tl.float32), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, a, b):
        tile = a @ b
        c = torch.empty_like(tile)
        write_back_kernel[(triton.cdiv(c.numel(), 256),)](tile, c, c.numel(), BLOCK=256)
        return c
