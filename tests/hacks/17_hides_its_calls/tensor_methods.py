# task: softmax
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(_softmax|softmax)
# A method of Tensor that looks like a view does the work.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


_view_as = torch.Tensor.view_as
torch.Tensor.view_as = lambda self, other: torch._C._nn.log_sigmoid(other) if other is None else self.softmax(1)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return x.view_as(y)
