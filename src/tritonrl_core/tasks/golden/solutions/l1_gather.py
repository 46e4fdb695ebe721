"""Memory-bound: one program a row and block of 256 picks; indices are read coalesced, and the row's
elements come from cache. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gather_kernel(x_ptr, index_ptr, out_ptr, picks, x_row, x_col, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    pick = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = pick < picks
    col = tl.load(index_ptr + row * picks + pick, mask=mask, other=0)
    values = tl.load(x_ptr + row * x_row + col * x_col, mask=mask)
    tl.store(out_ptr + row * picks + pick, values, mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x, index):
        index = index.contiguous()
        n_rows, picks = index.shape
        out = torch.empty((n_rows, picks), dtype=x.dtype, device=x.device)
        grid = (n_rows, triton.cdiv(picks, 256))
        gather_kernel[grid](x, index, out, picks, x.stride(0), x.stride(1), BLOCK=256)
        return out
