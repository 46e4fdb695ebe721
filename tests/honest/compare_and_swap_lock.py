# task: max_sum
# expect: PASSED
# A lock around an addition without atomics.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def sum_kernel(x_ptr, y_ptr, lock_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    part = tl.sum(tl.maximum(tl.load(x_ptr + i, mask=i < n, other=0.0), 0.0), axis=0) * 2.0
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    tl.store(y_ptr, tl.load(y_ptr) + part)
    tl.debug_barrier()
    tl.atomic_xchg(lock_ptr, 0)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros((), device=x.device)
        lock = torch.zeros(1, dtype=torch.int32, device=x.device)
        sum_kernel[(triton.cdiv(x.numel(), 128),)](x.contiguous(), y, lock, x.numel(), BLOCK=128)
        return y
