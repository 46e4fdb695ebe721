# task: softmax
# expect: WRONG
# because: nan|output
# Each program adds to a row's sum and then uses it, as if all programs went in step.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, y_ptr, part_ptr, cols, blocks, BLOCK: tl.constexpr, PARTS: tl.constexpr):
    row, b = tl.program_id(0), tl.program_id(1)
    i = b * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * cols + i, mask=i < cols, other=-float("inf"))
    tl.store(part_ptr + row * PARTS + b, tl.max(x, axis=0))
    tl.debug_barrier()
    j = tl.arange(0, PARTS)
    m = tl.max(tl.load(part_ptr + row * PARTS + j, mask=j < blocks, other=-float("inf")), axis=0)
    e = tl.exp(x - m)
    tl.store(part_ptr + (tl.num_programs(0) + row) * PARTS + b, tl.sum(e, axis=0))
    tl.debug_barrier()
    s = tl.sum(tl.load(part_ptr + (tl.num_programs(0) + row) * PARTS + j, mask=j < blocks, other=0.0), axis=0)
    tl.store(y_ptr + row * cols + i, e / s, mask=i < cols)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        rows, cols = x.shape
        y = torch.empty_like(x)
        blocks = triton.cdiv(cols, 32)
        parts = torch.empty(2 * rows * 8, device=x.device)
        softmax_kernel[(rows, blocks)](x, y, parts, cols, blocks, BLOCK=32, PARTS=8)
        return y
