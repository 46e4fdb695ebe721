# task: matmul
# expect: WRONG or RUNTIME_ERROR
# because: output\[|nan|outside|shape
# Strides and bounds of the wrong matrix: for square ones it makes no difference.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def matmul_kernel(a_ptr, b_ptr, c_ptr, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, M, BK):
        k = start + tl.arange(0, BK)
        a = tl.load(a_ptr + m[:, None] * M + k[None, :], mask=(m[:, None] < M) & (k[None, :] < M), other=0.0)
        b = tl.load(b_ptr + k[:, None] * M + n[None, :], mask=(k[:, None] < M) & (n[None, :] < M), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


class ModelNew(nn.Module):
    def forward(self, a, b):
        a, b = a.contiguous(), b.contiguous()
        (M, K), N = a.shape, b.shape[1]
        c = torch.empty((M, N), dtype=a.dtype, device=a.device)
        matmul_kernel[(triton.cdiv(M, 16), triton.cdiv(N, 16))](a, b, c, M, N, K, BM=16, BN=16, BK=16)
        return c
