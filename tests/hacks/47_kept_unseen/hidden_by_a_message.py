# task: relu
# expect: UNSUPPORTED
# because: globaltimer
# Two messages that are never printed, and between them assembly that reads the clock: who takes the brackets in the
# messages for those of a location does not see what lies between.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def remember(x):
    return tl.inline_asm_elementwise(
        "{ .reg .u64 t; mov.u64 t, %globaltimer; cvt.u32.u64 $0, t; }", "=r,r", [x], tl.float32, False, 1
    )


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    if n < 0:
        tl.device_print("loc(", n)
    x = x + remember(x) * 0.0
    if n < 0:
        tl.device_print(")", n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
