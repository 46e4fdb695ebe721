# task: relu
# expect: RUNTIME_ERROR or TIMEOUT
# because: scratch memory|too long|took
# needs: gpu
# A grid of two thousand million programs, each of which makes a tensor descriptor: 256 GiB of scratch memory.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, [n], [1], [BLOCK])
    y = tl.make_tensor_descriptor(y_ptr, [n], [1], [BLOCK])
    first = tl.program_id(0) * BLOCK
    if tl.program_id(0) < tl.cdiv(n, BLOCK):
        y.store([first], tl.maximum(x.load([first]), 0.0))


class ModelNew(nn.Module):
    def forward(self, x):
        triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device="cuda"))
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[((1 << 31) - 1,)](x, y, x.numel(), BLOCK=256)
        return y
