"""Two stages without atomics, so the result is the same in every run: blocks of 2048 with 8 warps each
leave one partial sum in float32, then one program adds those up. The difference is squared in
registers.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def mse_kernel(prediction_ptr, target_ptr, partial_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    prediction = tl.load(prediction_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    target = tl.load(target_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    difference = prediction - target
    value = difference * difference
    tl.store(partial_ptr + tl.program_id(0), tl.sum(value, axis=0))


@triton.jit
def finish_kernel(partial_ptr, out_ptr, count, scale, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, count, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + offsets, mask=offsets < count, other=0.0)
    tl.store(out_ptr, tl.sum(total, axis=0) * scale)


class ModelNew(torch.nn.Module):
    def forward(self, prediction, target):
        prediction = prediction.contiguous()
        target = target.contiguous()
        n = prediction.numel()
        count = triton.cdiv(n, 2048)
        partial = torch.empty(count, dtype=torch.float32, device=prediction.device)
        out = torch.empty((), dtype=prediction.dtype, device=prediction.device)
        mse_kernel[(count,)](prediction, target, partial, n, BLOCK=2048, num_warps=8)
        finish_kernel[(1,)](partial, out, count, 1.0 / n, BLOCK=1024)
        return out
