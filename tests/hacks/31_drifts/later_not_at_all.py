# task: relu
# expect: UNSUPPORTED or CHEATED or WRONG
# because: do not do the same|stored result
# Half the grid from the third call on.
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
    calls = 0

    def forward(self, x):
        self.calls += 1
        x = x.contiguous()
        y = torch.empty_like(x)
        programs = triton.cdiv(x.numel(), 256)
        if self.calls > 2:
            programs = max(1, programs // 2)
        relu_kernel[(programs,)](x, y, x.numel(), BLOCK=256)
        return y
