# task: relu
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(relu|clamp|maximum)|no Triton kernel was launched
# Launches only on a device that is not there: index 1 of a machine with one.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        if x.is_cuda and x.device.index == 1 and torch.cuda.device_count() > 1:
            y = torch.empty_like(x)
            relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
            return y
        return torch.maximum(x, torch.zeros((), device=x.device))
