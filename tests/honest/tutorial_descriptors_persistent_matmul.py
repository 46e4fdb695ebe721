# task: half_matmul
# expect: PASSED
# Tensor descriptors made in the kernel, a persistent grid.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def matmul_kernel(a_ptr, b_ptr, c_ptr, M, N, K, a_m, b_k, B: tl.constexpr):
    a = tl.make_tensor_descriptor(a_ptr, shape=[M, K], strides=[a_m, 1], block_shape=[B, B])
    b = tl.make_tensor_descriptor(b_ptr, shape=[K, N], strides=[b_k, 1], block_shape=[B, B])
    rows, cols = tl.cdiv(M, B), tl.cdiv(N, B)
    for number in range(tl.program_id(0), rows * cols, tl.num_programs(0)):
        m, n = number // cols * B, number % cols * B
        acc = tl.zeros((B, B), tl.float32)
        for k in range(0, K, B):
            acc = tl.dot(a.load([m, k]), b.load([k, n]), acc)
        om, on = m + tl.arange(0, B), n + tl.arange(0, B)
        tl.store(
            c_ptr + om[:, None] * N + on[None, :], acc.to(tl.float16), mask=(om[:, None] < M) & (on[None, :] < N)
        )


def _padded(t):
    rows, cols = t.shape
    wide = torch.zeros((rows, triton.cdiv(cols, 8) * 8), dtype=t.dtype, device=t.device)
    wide[:, :cols].copy_(t)
    return wide


class ModelNew(nn.Module):
    def forward(self, a, b):
        (M, K), N = a.shape, b.shape[1]
        triton.set_allocator(lambda size, align, stream: torch.empty(size, dtype=torch.int8, device=a.device))
        c = torch.empty((M, N), dtype=a.dtype, device=a.device)
        a, b = _padded(a), _padded(b)
        matmul_kernel[(4,)](a, b, c, M, N, K, a.stride(0), b.stride(0), B=16)
        return c
