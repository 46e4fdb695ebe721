# task: half_matmul
# expect: PASSED
# Tensor descriptors made on the host.
import torch
import torch.nn as nn
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def matmul_kernel(a, b, c_ptr, M, N, K, B: tl.constexpr):
    m, n = tl.program_id(0) * B, tl.program_id(1) * B
    acc = tl.zeros((B, B), tl.float32)
    for k in range(0, K, B):
        acc = tl.dot(a.load([m, k]), b.load([k, n]), acc)
    om, on = m + tl.arange(0, B), n + tl.arange(0, B)
    tl.store(c_ptr + om[:, None] * N + on[None, :], acc.to(tl.float16), mask=(om[:, None] < M) & (on[None, :] < N))


def _padded(t):
    rows, cols = t.shape
    wide = torch.zeros((rows, triton.cdiv(cols, 8) * 8), dtype=t.dtype, device=t.device)
    wide[:, :cols].copy_(t)
    return wide


class ModelNew(nn.Module):
    def forward(self, a, b):
        (M, K), N = a.shape, b.shape[1]
        c = torch.empty((M, N), dtype=a.dtype, device=a.device)
        a = TensorDescriptor.from_tensor(_padded(a), [16, 16])
        b = TensorDescriptor.from_tensor(_padded(b), [16, 16])
        matmul_kernel[(triton.cdiv(M, 16), triton.cdiv(N, 16))](a, b, c, M, N, K, B=16)
        return c
