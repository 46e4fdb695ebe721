# task: transposed
# expect: WRONG
# because: does not lie as the reference
# Copies the matrix as it is, and gives a view of the copy with rows and columns exchanged.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def copy_kernel(x_ptr, y_ptr, stride_row, stride_col, cols, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i // cols * stride_row + i % cols * stride_col, mask=i < n)
    tl.store(y_ptr + i, x, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        y = torch.empty(rows, cols, device=x.device, dtype=x.dtype)
        copy_kernel[(triton.cdiv(y.numel(), 1024),)](x, y, x.stride(0), x.stride(1), cols, y.numel(), BLOCK=1024)
        return y.t()
