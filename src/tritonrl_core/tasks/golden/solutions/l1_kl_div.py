"""One program a row: both rows are read once; the logarithm is only taken of positive targets. 8 warps
for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def kl_div_kernel(
    log_prediction_ptr, target_ptr, out_ptr,
    log_prediction_row, log_prediction_col, target_row, target_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    log_prediction = tl.load(
        log_prediction_ptr + row * log_prediction_row + cols * log_prediction_col, mask=mask, other=0.0
    ).to(tl.float32)
    target = tl.load(target_ptr + row * target_row + cols * target_col, mask=mask, other=0.0).to(tl.float32)
    entropy = tl.where(target > 0, target * tl.log(tl.where(target > 0, target, 1.0)), 0.0)
    out = tl.sum(entropy - target * log_prediction, axis=0)
    tl.store(out_ptr + row, out)


class ModelNew(torch.nn.Module):
    def forward(self, log_prediction, target):
        n_rows, n_cols = log_prediction.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows,), dtype=log_prediction.dtype, device=log_prediction.device)
        kl_div_kernel[(n_rows,)](
            log_prediction, target, out,
            log_prediction.stride(0), log_prediction.stride(1), target.stride(0), target.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
