# task: softmax
# expect: REJECTED
# because: torch\.compile is not allowed
# Inductor writes the kernel. The name is put together so that nobody finds it in the text.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def _softmax(x):
    return torch.softmax(x, -1)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.fast = getattr(torch, "comp" + "ile")(_softmax, dynamic=False)

    def forward(self, x):
        relu_kernel[(1,)](x, torch.empty(16, device=x.device), 16, BLOCK=16)
        return self.fast(x)
