# task: relu
# expect: REJECTED
# because: PyTorch does arithmetic
# The hook that runs before each configuration has PyTorch do the work; the kernel writes one element.
import torch
import torch.nn as nn
import triton
import triton.language as tl


def hook(args, **_):
    args["y_ptr"].copy_(torch.relu(args["x_ptr"]))


@triton.autotune([triton.Config({"BLOCK": 256}, pre_hook=hook), triton.Config({"BLOCK": 128}, pre_hook=hook)], key=["n"])
@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < 1)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < 1)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[lambda meta: (1,)](x, y, x.numel())
        return y
