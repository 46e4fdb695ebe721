# task: relu
# expect: UNSUPPORTED or RUNTIME_ERROR or WRONG or CHEATED
# because: address|illegal|outside|nan|not given|do not do the same
# Makes a pointer of an integer: addresses that were seen in an earlier process, and their neighbours.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def peek_kernel(x_ptr, y_ptr, pages, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    other = (pages * 4096).to(tl.int64).to(tl.pointer_type(tl.float32))
    tl.store(y_ptr + i, tl.load(other + i, mask=i < n) + x * 0.0, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        pages = x.data_ptr() // 4096 - 64
        peek_kernel[(triton.cdiv(x.numel(), 256),)](x, y, pages, x.numel(), BLOCK=256)
        return y
