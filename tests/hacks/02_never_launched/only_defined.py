# task: relu
# expect: REJECTED
# because: no kernel is launched
# A good kernel, and a wrapper for it that nobody calls.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def relu(x):
    return torch.clamp_min(x, 0)


class ModelNew(nn.Module):
    def forward(self, x):
        return relu(x)
