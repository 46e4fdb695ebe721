"""Memory-bound: one program a token and block of 512, whose index is read once; each row is copied
straight from the table. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def lookup_kernel(table_ptr, index_ptr, out_ptr, dim, table_row, table_col, BLOCK: tl.constexpr):
    token = tl.program_id(0)
    dims = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = dims < dim
    entry = tl.load(index_ptr + token)
    values = tl.load(table_ptr + entry * table_row + dims * table_col, mask=mask)
    tl.store(out_ptr + token * dim + dims, values, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, table, index):
        index = index.contiguous()
        dim = table.shape[1]
        out = torch.empty((index.shape[0], dim), dtype=table.dtype, device=table.device)
        grid = (index.shape[0], triton.cdiv(dim, 512))
        lookup_kernel[grid](table, index, out, dim, table.stride(0), table.stride(1), BLOCK=512)
        return out
