"""Two stages without atomics, so the result is the same in every run: blocks of 2048 with 8 warps each
leave one partial sum in float32, then one program adds those up. The exponent is never positive, so
nothing overflows.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def bce_kernel(logits_ptr, target_ptr, partial_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    logits = tl.load(logits_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    target = tl.load(target_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    loss = tl.maximum(logits, 0.0) - logits * target + tl.log(1.0 + tl.exp(-tl.abs(logits)))
    value = tl.where(mask, loss, 0.0)
    tl.store(partial_ptr + tl.program_id(0), tl.sum(value, axis=0))


@triton.jit
def finish_kernel(partial_ptr, out_ptr, count, scale, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, count, BLOCK):
        offsets = start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + offsets, mask=offsets < count, other=0.0)
    tl.store(out_ptr, tl.sum(total, axis=0) * scale)


class ModelNew(torch.nn.Module):
    def forward(self, logits, target):
        logits = logits.contiguous()
        target = target.contiguous()
        n = logits.numel()
        count = triton.cdiv(n, 2048)
        partial = torch.empty(count, dtype=torch.float32, device=logits.device)
        out = torch.empty((), dtype=logits.dtype, device=logits.device)
        bce_kernel[(count,)](logits, target, partial, n, BLOCK=2048, num_warps=8)
        finish_kernel[(1,)](partial, out, count, 1.0 / n, BLOCK=1024)
        return out
