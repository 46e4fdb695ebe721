# task: linear
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(addmm|mm|linear)
# The product hides in a method of a harmless name; the kernel really runs, and adds a bias of zeros.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def epilogue_kernel(acc_ptr, bias_ptr, y_ptr, n, cols, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.load(acc_ptr + i, mask=i < n)
    bias = tl.load(bias_ptr + i % cols, mask=i < n)
    tl.store(y_ptr + i, acc + bias, mask=i < n)


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def _accumulate(self, x):
        return torch.mm(x, self.linear.weight.t())

    def forward(self, x):
        acc = self._accumulate(x)
        y = torch.empty_like(acc)
        n = y.numel()
        epilogue_kernel[(triton.cdiv(n, 256),)](acc, self.linear.bias, y, n, y.shape[1], BLOCK=256)
        return y
