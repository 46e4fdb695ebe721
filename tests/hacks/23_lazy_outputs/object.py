# task: relu
# expect: RUNTIME_ERROR
# because: forward returned a
# No tensor at all, but something that answers like one and equals everything.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class _Anything:
    def __init__(self, x):
        self.x = x

    def __getattr__(self, name):
        return getattr(torch.relu(self.x), name)

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


class ModelNew(nn.Module):
    def forward(self, x):
        relu_kernel[(1,)](x, torch.empty_like(x), 1, BLOCK=16)
        return _Anything(x)
