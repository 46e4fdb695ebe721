"""One program a row pair: both rows are read once, and the three sums are taken from registers. 8
warps for long rows, 4 otherwise.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def cosine_similarity_kernel(
    prediction_ptr, target_ptr, out_ptr,
    prediction_row, prediction_col, target_row, target_col,
    n_cols, BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    mask = cols < n_cols
    prediction = tl.load(
        prediction_ptr + row * prediction_row + cols * prediction_col, mask=mask, other=0.0
    ).to(tl.float32)
    target = tl.load(target_ptr + row * target_row + cols * target_col, mask=mask, other=0.0).to(tl.float32)
    dot = tl.sum(prediction * target, axis=0)
    prediction_norm = tl.maximum(tl.sqrt(tl.sum(prediction * prediction, axis=0)), 1e-8)
    target_norm = tl.maximum(tl.sqrt(tl.sum(target * target, axis=0)), 1e-8)
    out = dot / (prediction_norm * target_norm)
    tl.store(out_ptr + row, out)


class ModelNew(torch.nn.Module):
    def forward(self, prediction, target):
        n_rows, n_cols = prediction.shape
        block = triton.next_power_of_2(n_cols)
        out = torch.empty((n_rows,), dtype=prediction.dtype, device=prediction.device)
        cosine_similarity_kernel[(n_rows,)](
            prediction, target, out,
            prediction.stride(0), prediction.stride(1), target.stride(0), target.stride(1),
            n_cols, BLOCK=block, num_warps=8 if block >= 2048 else 4,
        )
        return out
