"""Softmax and entropy in one kernel, one program a row: log(sum) minus the mean shifted logit, so the
probabilities are never written. 8 warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_entropy_kernel(x_ptr, out_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=float("-inf")).to(tl.float32)
    shifted = x - tl.max(x, axis=0)
    e = tl.exp(shifted)
    total = tl.sum(e, axis=0)
    weighted = tl.sum(tl.where(mask, e * shifted, 0.0), axis=0)
    out = tl.log(total) - weighted / total
    tl.store(out_ptr + row, out)


class ModelNew(torch.nn.Module):
    def forward(self, x):
        n_rows, n_cols = x.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows,), dtype=x.dtype, device=x.device)
        softmax_entropy_kernel[(n_rows,)](
            x, out,
            x.stride(0), x.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
