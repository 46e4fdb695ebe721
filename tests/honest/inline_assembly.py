# task: relu
# expect: PASSED
# needs: gpu
# Two instructions of PTX that Triton has no word for.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def positive_part(x):
    return tl.inline_asm_elementwise(
        "{ .reg .f32 zero; mov.f32 zero, 0f00000000; max.NaN.f32 $0, $1, zero; }",
        "=f,f",
        [x],
        dtype=tl.float32,
        is_pure=True,
        pack=1,
    )


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, positive_part(x), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
