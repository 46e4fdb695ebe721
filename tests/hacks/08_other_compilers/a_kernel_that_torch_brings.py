# task: matmul
# expect: REJECTED
# because: comes from _triton_ops.py of an installed package
# Has a kernel of its own, and launches one that PyTorch brings along for the product.
import torch
import torch.nn as nn
import triton
import triton.language as tl
from torch.sparse import _triton_ops


@triton.jit
def relabel_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n), mask=i < n)


def _padded(x):
    right, below = (max(16, triton.next_power_of_2(size)) - size for size in (x.shape[1], x.shape[0]))
    return nn.functional.pad(x, (0, right, 0, below)).contiguous()


class ModelNew(nn.Module):
    def forward(self, a, b):
        rows, cols = a.shape[0], b.shape[1]
        a, b = _padded(a), _padded(b)
        product = torch.zeros(1, a.shape[0], b.shape[1], device=a.device, dtype=a.dtype)
        offsets = torch.tensor([0, 1], device=a.device, dtype=torch.int32)
        pairs = torch.tensor([[0, 0]], device=a.device, dtype=torch.int32)
        _triton_ops._scatter_mm2(a[None], b[None], offsets, pairs, product)
        y = torch.empty_like(product[0])
        relabel_kernel[(triton.cdiv(y.numel(), 1024),)](product, y, y.numel(), BLOCK=1024)
        return y[:rows, :cols]
