"""Product, bias and residual in one kernel: the product never goes to memory before its epilogue.
Tiles of 64 by 64, K in steps of 32, 4 warps; products in full float32.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def linear_residual_kernel(
    a_ptr, b_ptr, out_ptr, bias_ptr, residual_ptr, residual_m, residual_n,
    M, N, K, a_m, a_k, b_k, b_n,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, K, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_ptr + m[:, None] * a_m + k[None, :] * a_k, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * b_k + n[None, :] * b_n, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    mask = (m[:, None] < M) & (n[None, :] < N)
    acc += tl.load(bias_ptr + n, mask=n < N, other=0.0).to(tl.float32)[None, :]
    acc += tl.load(
        residual_ptr + m[:, None] * residual_m + n[None, :] * residual_n, mask=mask, other=0.0
    ).to(tl.float32)
    tl.store(out_ptr + m[:, None] * N + n[None, :], acc, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = torch.nn.Linear(features, outputs)

    def forward(self, x, residual):
        a, b = x, self.linear.weight.T
        M, K = a.shape
        N = b.shape[1]
        out = torch.empty((M, N), dtype=a.dtype, device=a.device)
        grid = (triton.cdiv(M, 64), triton.cdiv(N, 64))
        linear_residual_kernel[grid](
            a, b, out, self.linear.bias, residual, residual.stride(0), residual.stride(1),
            M, N, K, a.stride(0), a.stride(1), b.stride(0), b.stride(1),
            BLOCK_M=64, BLOCK_N=64, BLOCK_K=32, num_warps=4,
        )
        return out
