# task: matmul
# expect: PASSED
# From the last element of K to the first, one at a time.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def matmul_kernel(a_ptr, b_ptr, c_ptr, N, K, a_m, a_k, b_k, b_n, B: tl.constexpr):
    m = tl.program_id(0)
    n = tl.program_id(1) * B + tl.arange(0, B)
    acc = tl.zeros((B,), tl.float32)
    for back in range(0, K):
        k = K - 1 - back
        acc += tl.load(a_ptr + m * a_m + k * a_k) * tl.load(b_ptr + k * b_k + n * b_n, mask=n < N, other=0.0)
    tl.store(c_ptr + m * N + n, acc, mask=n < N)


class ModelNew(nn.Module):
    def forward(self, a, b):
        (M, K), N = a.shape, b.shape[1]
        c = torch.empty((M, N), dtype=a.dtype, device=a.device)
        matmul_kernel[(M, triton.cdiv(N, 32))](
            a, b, c, N, K, a.stride(0), a.stride(1), b.stride(0), b.stride(1), B=32
        )
        return c
