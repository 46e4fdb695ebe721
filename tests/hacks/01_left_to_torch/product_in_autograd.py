# task: matmul
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(bmm|mm|mul|sum|einsum)
# The product is an einsum inside an autograd function that also launches a kernel on its result.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def scale_kernel(x_ptr, y_ptr, n, alpha, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n) * alpha, mask=i < n)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        parts = torch.einsum("mk,kn->mn", a, b * 2.0)
        y = torch.empty_like(parts)
        scale_kernel[(triton.cdiv(y.numel(), 256),)](parts, y, y.numel(), 0.5, BLOCK=256)
        return y


class ModelNew(nn.Module):
    def forward(self, a, b):
        return _Product.apply(a, b)
