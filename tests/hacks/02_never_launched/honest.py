# task: relu
# expect: PASSED
# Launched through a table and a helper, under a condition that holds.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


KERNELS = {"relu": (relu_kernel, 256)}


def apply(name, x):
    kernel, block = KERNELS[name]
    x = x.contiguous()
    y = torch.empty_like(x)
    if x.numel() > 0:
        kernel[(triton.cdiv(x.numel(), block),)](x, y, x.numel(), BLOCK=block)
    return y


class ModelNew(nn.Module):
    def forward(self, x):
        return apply("relu", x)
