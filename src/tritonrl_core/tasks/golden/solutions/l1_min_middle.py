"""The grid is batch by strips of 64 of the last dimension; each program walks along the middle
dimension in blocks of 32 and keeps the minimum in registers, so loads are coalesced and nothing is
copied. 4 warps.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def min_middle_kernel(
    x_ptr, out_ptr, length, dim, x_batch, x_length, x_dim, LENGTHS: tl.constexpr, DIMS: tl.constexpr
):
    batch = tl.program_id(0)
    dims = tl.program_id(1) * DIMS + tl.arange(0, DIMS)
    x_ptr += batch * x_batch
    best = tl.full((DIMS,), float("inf"), dtype=tl.float32)
    for start in range(0, length, LENGTHS):
        at = start + tl.arange(0, LENGTHS)
        mask = (at[:, None] < length) & (dims[None, :] < dim)
        x = tl.load(
            x_ptr + at[:, None] * x_length + dims[None, :] * x_dim, mask=mask, other=float("inf")
        ).to(tl.float32)
        best = tl.minimum(best, tl.min(x, axis=0))
    tl.store(out_ptr + batch * dim + dims, best, mask=dims < dim)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        batch, length, dim = x.shape
        out = torch.empty((batch, dim), dtype=x.dtype, device=x.device)
        min_middle_kernel[(batch, triton.cdiv(dim, 64))](
            x, out, length, dim, x.stride(0), x.stride(1), x.stride(2), LENGTHS=32, DIMS=64
        )
        return out
