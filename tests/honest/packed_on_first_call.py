# task: linear
# expect: PASSED
# The weight is padded and laid out by a kernel in the first call, and kept.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def linear_kernel(
    x_ptr, w_ptr, b_ptr, y_ptr, M, N, K, x_m, x_k, w_n, w_k,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, K, BK):
        k = start + tl.arange(0, BK)
        x = tl.load(x_ptr + m[:, None] * x_m + k[None, :] * x_k, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        w = tl.load(w_ptr + n[None, :] * w_n + k[:, None] * w_k, mask=(n[None, :] < N) & (k[:, None] < K), other=0.0)
        acc = tl.dot(x, w, acc, input_precision="ieee")
    acc += tl.load(b_ptr + n, mask=n < N, other=0.0)[None, :]
    tl.store(y_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


def linear(x, weight, bias):
    (M, K), N = x.shape, weight.shape[0]
    y = torch.empty((M, N), dtype=x.dtype, device=x.device)
    grid = (triton.cdiv(M, 32), triton.cdiv(N, 32))
    linear_kernel[grid](
        x, weight, bias, y, M, N, K, x.stride(0), x.stride(1), weight.stride(0), weight.stride(1), BM=32, BN=32, BK=32
    )
    return y


@triton.jit
def pack_kernel(w_ptr, p_ptr, N, K, BLOCK: tl.constexpr):
    n = tl.program_id(0)
    k = tl.arange(0, BLOCK)
    tl.store(p_ptr + k * N + n, tl.load(w_ptr + n * K + k, mask=k < K), mask=k < K)


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)
        self.packed = None

    def forward(self, x):
        outputs, features = self.linear.weight.shape
        if self.packed is None:
            self.packed = torch.empty((features, outputs), device=x.device)
            pack_kernel[(outputs,)](
                self.linear.weight, self.packed, outputs, features, BLOCK=triton.next_power_of_2(features)
            )
        return linear(x, self.packed.t(), self.linear.bias)
