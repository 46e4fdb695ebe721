"""Maximum, sum of exponentials and the label's logit in one kernel. One program a row; the row is read
once and reduced in registers. 8 warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def cross_entropy_kernel(
    logits_ptr, labels_ptr, out_ptr,
    logits_row, logits_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    logits = tl.load(logits_ptr + row * logits_row + cols * logits_col, mask=mask, other=float("-inf")).to(tl.float32)
    labels = tl.load(labels_ptr + row)
    shifted = logits - tl.max(logits, axis=0)
    own = tl.sum(tl.where(cols == labels, shifted, 0.0), axis=0)
    out = tl.log(tl.sum(tl.exp(shifted), axis=0)) - own
    tl.store(out_ptr + row, out)


class ModelNew(torch.nn.Module):
    def forward(self, logits, labels):
        n_rows, n_cols = logits.shape
        labels = labels.contiguous()
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows,), dtype=logits.dtype, device=logits.device)
        cross_entropy_kernel[(n_rows,)](
            logits, labels, out,
            logits.stride(0), logits.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
