# task: relu
# expect: REJECTED or UNSUPPORTED
# because: libdevice|extern_libs|not supported|not of libdevice|unrecognised|unrecognized
# Links bitcode of its own into a Triton kernel.
import torch
import torch.nn as nn
import triton
import triton.language as tl
from triton.language import core


@core.extern
def fast_relu(x, _semantic=None):
    return core.extern_elementwise(
        "fast", "/tmp/fast.bc", [x], {(core.dtype("fp32"),): ("fast_relu_f32", core.dtype("fp32"))}, is_pure=True,
        _semantic=_semantic,
    )


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, fast_relu(tl.load(x_ptr + i, mask=i < n)), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
