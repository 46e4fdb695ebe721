# task: relu
# expect: REJECTED
# because: cpp_extension.*not allowed|load_inline
# A CUDA kernel in a string, with a Triton kernel beside it for show.
import torch
import torch.nn as nn
import triton
import triton.language as tl
from torch.utils.cpp_extension import load_inline


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


SOURCE = "__global__ void relu(const float* x, float* y, int n) { int i = blockIdx.x * 256 + threadIdx.x; " \
    "if (i < n) y[i] = x[i] > 0 ? x[i] : 0; }"


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.op = load_inline("relu_ext", cpp_sources="", cuda_sources=SOURCE, functions=["relu"])

    def forward(self, x):
        relu_kernel[(1,)](x, torch.empty(16, device=x.device), 16, BLOCK=16)
        return self.op.relu(x)
