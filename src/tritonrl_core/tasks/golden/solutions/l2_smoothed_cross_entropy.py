"""Log-softmax, the label's term and the smoothing term in one kernel, one program a row. 8 warps for
long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def smoothed_cross_entropy_kernel(
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
    log_total = tl.log(tl.sum(tl.exp(shifted), axis=0))
    own = tl.sum(tl.where(cols == labels, shifted, 0.0), axis=0)
    mean = tl.sum(tl.where(mask, shifted, 0.0), axis=0) / n_cols
    out = log_total - 0.9 * own - 0.1 * mean
    tl.store(out_ptr + row, out)


class ModelNew(torch.nn.Module):
    def forward(self, logits, labels):
        n_rows, n_cols = logits.shape
        labels = labels.contiguous()
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows,), dtype=logits.dtype, device=logits.device)
        smoothed_cross_entropy_kernel[(n_rows,)](
            logits, labels, out,
            logits.stride(0), logits.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
