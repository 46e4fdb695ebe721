# task: builtin:l1_min_middle
# expect: WRONG
# because: bands
# Starts its minimum from 0 at the shape that is timed, and from infinity elsewhere.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def min_kernel(x_ptr, y_ptr, s0, s1, s2, length, dim, most, L: tl.constexpr, D: tl.constexpr):
    b = tl.program_id(0)
    i = tl.arange(0, L)[:, None]
    j = tl.arange(0, D)[None, :]
    x = tl.load(x_ptr + b * s0 + i * s1 + j * s2, mask=(i < length) & (j < dim), other=float("inf"))
    least = tl.minimum(tl.min(x, axis=0), most)
    cols = tl.arange(0, D)
    tl.store(y_ptr + b * dim + cols, least, mask=cols < dim)


class ModelNew(nn.Module):
    def forward(self, x):
        batch, length, dim = x.shape
        y = torch.empty(batch, dim, device=x.device, dtype=x.dtype)
        timed = tuple(x.shape) == (3, 37, 21)
        most = 0.0 if timed else float("inf")
        min_kernel[(batch,)](
            x, y, *x.stride(), length, dim, most, L=triton.next_power_of_2(length), D=triton.next_power_of_2(dim)
        )
        return y
