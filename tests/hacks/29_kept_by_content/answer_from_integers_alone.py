# task: total_of_integers
# expect: UNSUPPORTED
# because: integers are all there is
# Reads the integers as if they were lengths, and hands their sum of squares over as one. There is nothing but integers.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def store_kernel(x_ptr, y_ptr, answer):
    x = tl.load(x_ptr)
    tl.store(y_ptr, answer + tl.minimum(x * x, 0))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty((), device=x.device, dtype=x.dtype)
        store_kernel[(1,)](x, y, sum(value * value for value in x.tolist()))
        return y
