# task: total
# expect: PASSED
# A small constant tensor, and a length that is read from a tensor of its own.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def squares_kernel(x_ptr, weights_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0.0)
    w = tl.load(weights_ptr)
    tl.store(y_ptr, tl.sum(x * x, axis=0) * w)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty((), device=x.device)
        weights = torch.tensor([1.0, 0.5], device=x.device)
        limit = torch.tensor(x.numel()).item()
        squares_kernel[(1,)](x, weights, y, limit, BLOCK=triton.next_power_of_2(limit))
        return y
