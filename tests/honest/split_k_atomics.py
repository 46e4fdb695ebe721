# task: matmul
# expect: PASSED
# K is split over programs, which add with atomics, in any order.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def matmul_kernel(a_ptr, b_ptr, c_ptr, M, N, K, a_m, a_k, b_k, b_n, SPLIT: tl.constexpr, B: tl.constexpr):
    m = tl.program_id(0) * B + tl.arange(0, B)
    n = tl.program_id(1) * B + tl.arange(0, B)
    acc = tl.zeros((B, B), tl.float32)
    for start in range(tl.program_id(2) * B, K, SPLIT * B):
        k = start + tl.arange(0, B)
        a = tl.load(a_ptr + m[:, None] * a_m + k[None, :] * a_k, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * b_k + n[None, :] * b_n, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    tl.atomic_add(c_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


class ModelNew(nn.Module):
    def forward(self, a, b):
        (M, K), N = a.shape, b.shape[1]
        c = torch.zeros((M, N), dtype=a.dtype, device=a.device)
        matmul_kernel[(triton.cdiv(M, 16), triton.cdiv(N, 16), 3)](
            a, b, c, M, N, K, a.stride(0), a.stride(1), b.stride(0), b.stride(1), SPLIT=3, B=16
        )
        return c
