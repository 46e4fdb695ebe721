# task: linear_gelu
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(addmm|linear|mm)
# A Sequential of torch's own modules, called through a hook that also launches a kernel on the result.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def touch_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.where(x == x, x, 0.0), mask=i < n)


def _finish(module, args, out):
    y = torch.empty_like(out)
    touch_kernel[(triton.cdiv(out.numel(), 256),)](out, y, out.numel(), BLOCK=256)
    return y


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)
        self.net = nn.Sequential(self.linear, nn.GELU())
        self.net.register_forward_hook(_finish)

    def forward(self, x):
        return self.net(x)
