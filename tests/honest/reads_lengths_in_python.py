# task: segments
# expect: PASSED
# Lengths are read in Python: one launch a segment.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def segment_kernel(x_ptr, y_ptr, rows, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for row in range(0, rows):
        x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
        total += x * x
    tl.store(y_ptr + cols, total, mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x, lengths):
        y = torch.empty((lengths.numel(), x.shape[1]), device=x.device)
        start = 0
        for number, length in enumerate(lengths.tolist()):
            segment_kernel[(1,)](
                x[start:], y[number], length, x.stride(0), x.stride(1), x.shape[1],
                BLOCK=triton.next_power_of_2(x.shape[1]),
            )
            start += length
        return y
