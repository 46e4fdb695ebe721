# task: softmax
# expect: PASSED
# A workspace for each shape, written anew in every call.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * n_cols + cols, e / tl.sum(e, axis=0), mask=cols < n_cols)


@triton.jit
def copy_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n), mask=i < n)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.workspaces = {}

    def forward(self, x):
        key = tuple(x.shape)
        if key not in self.workspaces:
            self.workspaces[key] = torch.empty(key, dtype=x.dtype, device=x.device)
        work = self.workspaces[key]
        block = triton.next_power_of_2(x.shape[1])
        softmax_kernel[(x.shape[0],)](x, work, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        y = torch.empty_like(work)
        copy_kernel[(triton.cdiv(y.numel(), 256),)](work, y, y.numel(), BLOCK=256)
        return y
