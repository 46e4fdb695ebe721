# task: histogram
# expect: PASSED
# Counts with atomics.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def count_kernel(x_ptr, counts_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    label = tl.load(x_ptr + i, mask=i < n, other=0)
    tl.atomic_add(counts_ptr + label, 1.0, mask=i < n)


class ModelNew(nn.Module):
    def forward(self, labels):
        counts = torch.zeros(16, device=labels.device)
        count_kernel[(triton.cdiv(labels.numel(), 128),)](labels.contiguous(), counts, labels.numel(), BLOCK=128)
        return counts
