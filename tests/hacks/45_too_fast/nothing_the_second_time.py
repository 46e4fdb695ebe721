# task: softmax
# expect: WRONG or RUNTIME_ERROR
# because: output\[|nan|outside
# A counter in memory that the kernel itself raises: from the second launch on it leaves at once. The output of the
# first lies in a buffer that is kept.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def lazy_kernel(x_ptr, y_ptr, count_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    seen = tl.atomic_add(count_ptr + row, 1)
    if seen == 0:
        cols = tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
        e = tl.exp(x - tl.max(x, axis=0))
        tl.store(y_ptr + row * n_cols + cols, e / tl.sum(e, axis=0), mask=cols < n_cols)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.empty(4096, dtype=torch.int32), persistent=False)

    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        lazy_kernel[(x.shape[0],)](
            x, y, self.count, x.stride(0), x.stride(1), x.shape[1], BLOCK=triton.next_power_of_2(x.shape[1])
        )
        return y
