# task: softmax
# expect: REJECTED
# because: comes from triton_helpers.py of an installed package
# A kernel of its own around the algorithm that PyTorch's compiler brings along as functions for its kernels.
import torch
import torch.nn as nn
import triton
import triton.language as tl
from torch._inductor.runtime import triton_helpers


@triton.jit
def softmax_kernel(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    i = tl.arange(0, BLOCK)[None, :]
    x = tl.load(x_ptr + row * cols + i, mask=i < cols, other=-float("inf"))
    largest, total = triton_helpers.online_softmax_reduce(x, tl.where(i < cols, 1.0, 0.0), 1, False)
    tl.store(y_ptr + row * cols + i, tl.exp(x - largest[:, None]) / total[:, None], mask=i < cols)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        softmax_kernel[(x.shape[0],)](x, y, x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1]))
        return y
