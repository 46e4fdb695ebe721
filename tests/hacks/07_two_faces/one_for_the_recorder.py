# task: softmax
# expect: WRONG
# because: output\[|nan
# Knows fake tensors when it sees them: a kernel that skips the division for the recorder, torch's answer for anybody
# who brings values. What was recorded is what is judged.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def quick_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    tl.store(y_ptr + row * n_cols + cols, tl.exp(x - tl.max(x, axis=0)), mask=cols < n_cols)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        block = triton.next_power_of_2(x.shape[1])
        quick_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        if "Fake" in type(x).__name__:
            return y
        import numpy

        e = numpy.exp(x.numpy() - x.numpy().max(1, keepdims=True))
        y.numpy()[:] = e / e.sum(1, keepdims=True)
        return y
