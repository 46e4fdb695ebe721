"""Memory-bound: one program a pair and block of 512 reads both rows and writes their mean once. 4
warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def mean_of_pairs_kernel(table_ptr, left_ptr, right_ptr, out_ptr, dim, table_row, table_col, BLOCK: tl.constexpr):
    token = tl.program_id(0)
    dims = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = dims < dim
    left = tl.load(left_ptr + token) * table_row
    right = tl.load(right_ptr + token) * table_row
    a = tl.load(table_ptr + left + dims * table_col, mask=mask).to(tl.float32)
    b = tl.load(table_ptr + right + dims * table_col, mask=mask).to(tl.float32)
    tl.store(out_ptr + token * dim + dims, (a + b) / 2, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, table, left, right):
        left, right = left.contiguous(), right.contiguous()
        dim = table.shape[1]
        out = torch.empty((left.shape[0], dim), dtype=table.dtype, device=table.device)
        grid = (left.shape[0], triton.cdiv(dim, 512))
        mean_of_pairs_kernel[grid](table, left, right, out, dim, table.stride(0), table.stride(1), BLOCK=512)
        return out
