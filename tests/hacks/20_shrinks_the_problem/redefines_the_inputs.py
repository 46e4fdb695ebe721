# task: relu
# expect: WRONG
# because: nan|output\[
# Brings smaller constants and inputs of its own along, and computes as much as they need.
import torch
import torch.nn as nn
import triton
import triton.language as tl

ROWS = 2
COLS = 8


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        relu_kernel[(1,)](x, y, ROWS * COLS, BLOCK=16)
        return y
