"""Lookup, scale and addition in one pass: one program a position and block of 512; the looked-up rows
never go to memory by themselves. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def lookup_scale_add_kernel(
    x_ptr, table_ptr, index_ptr, weight_ptr, out_ptr, dim, table_row, table_col, BLOCK: tl.constexpr
):
    position = tl.program_id(0)
    dims = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = dims < dim
    entry = tl.load(index_ptr + position)
    weight = tl.load(weight_ptr + position).to(tl.float32)
    x = tl.load(x_ptr + position * dim + dims, mask=mask).to(tl.float32)
    row = tl.load(table_ptr + entry * table_row + dims * table_col, mask=mask).to(tl.float32)
    tl.store(out_ptr + position * dim + dims, x + row * weight, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x, table, index, weight):
        x, index, weight = x.contiguous(), index.contiguous(), weight.contiguous()
        dim = x.shape[-1]
        out = torch.empty_like(x)
        grid = (index.numel(), triton.cdiv(dim, 512))
        lookup_scale_add_kernel[grid](
            x, table, index, weight, out, dim, table.stride(0), table.stride(1), BLOCK=512
        )
        return out
