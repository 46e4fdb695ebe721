# task: two_products
# expect: PASSED
# One launch for products of different sizes; a fixed number of programs walks over the tiles of all of them.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def tile(a_ptr, b_ptr, c_ptr, number, M, N, K, a_m, a_k, b_k, b_n, B: tl.constexpr):
    m = number // tl.cdiv(N, B) * B + tl.arange(0, B)
    n = number % tl.cdiv(N, B) * B + tl.arange(0, B)
    acc = tl.zeros((B, B), tl.float32)
    for start in range(0, K, B):
        k = start + tl.arange(0, B)
        a = tl.load(a_ptr + m[:, None] * a_m + k[None, :] * a_k, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * b_k + n[None, :] * b_n, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


@triton.jit
def grouped_kernel(
    a_ptr, b_ptr, o_ptr, M1, N1, a_m, a_k, b_k, b_n, c_ptr, d_ptr, p_ptr, M2, N2, c_m, c_k, d_k, d_n, K,
    B: tl.constexpr,
):
    first = tl.cdiv(M1, B) * tl.cdiv(N1, B)
    total = first + tl.cdiv(M2, B) * tl.cdiv(N2, B)
    for number in range(tl.program_id(0), total, tl.num_programs(0)):
        if number < first:
            tile(a_ptr, b_ptr, o_ptr, number, M1, N1, K, a_m, a_k, b_k, b_n, B)
        else:
            tile(c_ptr, d_ptr, p_ptr, number - first, M2, N2, K, c_m, c_k, d_k, d_n, B)


class ModelNew(nn.Module):
    def forward(self, a, b, c, d):
        o = torch.empty((a.shape[0], b.shape[1]), device=a.device)
        p = torch.empty((c.shape[0], d.shape[1]), device=a.device)
        grouped_kernel[(5,)](
            a, b, o, a.shape[0], b.shape[1], *a.stride(), *b.stride(),
            c, d, p, c.shape[0], d.shape[1], *c.stride(), *d.stride(), a.shape[1], B=16,
        )
        return o, p
