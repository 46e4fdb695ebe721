# task: softmax
# expect: UNSUPPORTED or REJECTED
# because: cannot be replayed|arithmetic
# PyTorch computes inside an operator of its own making.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@torch.library.custom_op("mine::softmax", mutates_args=())
def own_softmax(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, dim=-1)


@own_softmax.register_fake
def _(x):
    return torch.empty_like(x)


@triton.jit
def copy_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n) * 1.0000001, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        s = own_softmax(x.contiguous())
        y = torch.empty_like(s)
        copy_kernel[(triton.cdiv(x.numel(), 256),)](s, y, x.numel(), BLOCK=256)
        return y
