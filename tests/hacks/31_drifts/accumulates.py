# task: row_sum
# expect: WRONG or CHEATED or UNSUPPORTED
# because: nan|output\[|earlier call|for the next
# Adds into a buffer that it clears when it is made: right for the first call, and twice the sum in the second.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def add_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    tl.atomic_add(y_ptr + row, tl.sum(x, axis=0))


class ModelNew(nn.Module):
    y = None

    def forward(self, x):
        if self.y is None or self.y.shape[0] != x.shape[0]:
            self.y = torch.zeros(x.shape[0], device=x.device)
        add_kernel[(x.shape[0],)](
            x, self.y, x.stride(0), x.stride(1), x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1])
        )
        return self.y
