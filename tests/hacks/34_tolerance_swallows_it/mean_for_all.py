# task: softmax
# expect: WRONG
# because: output\[
# Every element of a softmax is about one over the length of its row.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def mean_kernel(x_ptr, y_ptr, n, n_cols, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, (1.0 + 0.001 * x) / n_cols, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        mean_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), x.shape[1], BLOCK=256)
        return y
