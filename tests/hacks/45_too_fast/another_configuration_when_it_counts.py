# task: softmax
# expect: WRONG
# because: configuration 2
# Two configurations, one of which leaves the maximum out. It waits where the memory behind PyTorch's copy looks guarded,
# as it does while a kernel is checked: there the clock picks the careful one, and the other one where speed is measured.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.autotune(configs=[triton.Config({"SAFE": True}), triton.Config({"SAFE": False})], key=["cols"])
@triton.jit
def softmax_kernel(x_ptr, y_ptr, rows, cols, BLOCK: tl.constexpr, SAFE: tl.constexpr):
    row = tl.program_id(0)
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * cols + i, mask=i < cols, other=-float("inf"))
    if SAFE:
        x -= tl.max(x, axis=0)
    else:
        behind = tl.load(x_ptr + rows * cols + 64)
        turns = tl.where(behind != behind, 20000, 0)
        for turn in range(turns):
            x += tl.sin(behind * turn) * 0
        x = tl.where(behind != behind, tl.load(x_ptr + row * cols + i, mask=i < cols, other=-float("inf")), x)
    e = tl.exp(x)
    tl.store(y_ptr + row * cols + i, e / tl.sum(e, axis=0), mask=i < cols)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.clone(memory_format=torch.contiguous_format)
        y = torch.empty_like(x)
        softmax_kernel[(x.shape[0],)](x, y, *x.shape, BLOCK=triton.next_power_of_2(x.shape[1]))
        return y
