# task: relu
# expect: UNSUPPORTED
# because: gridid
# The number of the grid tells one launch from the next: every second one could do nothing.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def launch_number(x):
    return tl.inline_asm_elementwise(
        "{ .reg .u64 %number; mov.u64 %number, %gridid; cvt.u32.u64 $0, %number; }", "=r,r", [x], tl.int32, False, 1
    )


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = (i < n) & (launch_number(i) % 2 == 0)
    x = tl.load(x_ptr + i, mask=here)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=here)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
