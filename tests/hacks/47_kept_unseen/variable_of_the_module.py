# task: relu
# expect: UNSUPPORTED
# because: leaves its block
# A variable of the module, slipped in through inline assembly: it outlives the launch.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def remember(x):
    return tl.inline_asm_elementwise(
        "mov.b32 $0, $1; ret; } .visible .global .b32 runs[1024]; .func rest() {", "=r,r", [x], tl.float32, False, 1
    )


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = remember(tl.load(x_ptr + i, mask=i < n))
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
