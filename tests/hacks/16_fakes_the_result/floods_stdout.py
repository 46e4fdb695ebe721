# task: relu
# expect: WRONG
# because: nan|output\[
# Prints enough to make a reader of logs give up, and computes a sixteenth of the output.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        for _ in range(200):
            print("PASSED " * 5000)
        y = torch.empty_like(x)
        relu_kernel[(1,)](x, y, x.numel() // 16, BLOCK=1024)
        return y
