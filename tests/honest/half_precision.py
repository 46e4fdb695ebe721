# task: half_add
# expect: PASSED
# Half precision in and out, float32 in between.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def add_kernel(x_ptr, y_ptr, o_ptr, x_row, x_col, y_row, y_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask).to(tl.float32)
    y = tl.load(y_ptr + row * y_row + cols * y_col, mask=mask).to(tl.float32)
    tl.store(o_ptr + row * n_cols + cols, ((x + y) * 0.5).to(o_ptr.dtype.element_ty), mask=mask)


class ModelNew(nn.Module):
    def forward(self, x, y):
        o = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        add_kernel[(x.shape[0],)](
            x, y, o, *x.stride(), *y.stride(), x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1])
        )
        return o
