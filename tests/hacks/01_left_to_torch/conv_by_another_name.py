# task: conv
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.convolution
# cuDNN's convolution, found by a name put together at run time; the kernel does the ReLU.
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
    def __init__(self, channels, outputs):
        super().__init__()
        self.conv = nn.Conv2d(channels, outputs, 3)
        self._tile = getattr(torch, "conv" + "2d")

    def forward(self, x):
        tiles = self._tile(x, self.conv.weight, self.conv.bias)
        y = torch.empty_like(tiles)
        relu_kernel[(triton.cdiv(y.numel(), 256),)](tiles, y, y.numel(), BLOCK=256)
        return y
