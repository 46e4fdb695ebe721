"""A program owns 16 whole rows of the product (all columns in one tile), so what follows along the row
happens in registers and the product never goes to memory. K in steps of 32, 8 warps, full float32.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def linear_layer_norm_gelu_kernel(
    a_ptr, b_ptr, bias_ptr, out_ptr, weight_ptr, shift_ptr,
    M, N, K, a_m, a_k, b_k, b_n,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.arange(0, BLOCK_N)
    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, K, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_ptr + m[:, None] * a_m + k[None, :] * a_k, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * b_k + n[None, :] * b_n, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    acc += tl.load(bias_ptr + n, mask=n < N, other=0.0).to(tl.float32)[None, :]
    live = n[None, :] < N
    mean = tl.sum(tl.where(live, acc, 0.0), axis=1) / N
    centred = tl.where(live, acc - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, axis=1) / N
    weight = tl.load(weight_ptr + n, mask=n < N, other=0.0).to(tl.float32)
    shift = tl.load(shift_ptr + n, mask=n < N, other=0.0).to(tl.float32)
    y = centred * tl.rsqrt(variance + 1e-5)[:, None] * weight[None, :] + shift[None, :]
    out = 0.5 * y * (1.0 + tl.erf(y * 0.7071067811865476))
    tl.store(out_ptr + m[:, None] * N + n[None, :], out, mask=(m[:, None] < M) & live)


class ModelNew(torch.nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = torch.nn.Linear(features, outputs)
        self.norm = torch.nn.LayerNorm(outputs)

    def forward(self, x):
        b = self.linear.weight.T
        M, K = x.shape
        N = b.shape[1]
        out = torch.empty((M, N), dtype=x.dtype, device=x.device)
        linear_layer_norm_gelu_kernel[(triton.cdiv(M, 16),)](
            x, b, self.linear.bias, out, self.norm.weight, self.norm.bias,
            M, N, K, x.stride(0), x.stride(1), b.stride(0), b.stride(1),
            BLOCK_M=16, BLOCK_N=max(16, triton.next_power_of_2(N)), BLOCK_K=32, num_warps=8,
        )
        return out
