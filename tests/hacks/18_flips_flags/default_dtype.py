# task: linear
# expect: WRONG or RUNTIME_ERROR
# because: output\[|dtype
# The default dtype becomes half and denormals are flushed, so that the reference is as sloppy as this kernel.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def half_kernel(x_ptr, w_ptr, b_ptr, y_ptr, N, K, x_m, x_k, w_n, w_k, BN: tl.constexpr, BK: tl.constexpr):
    m = tl.program_id(0)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    acc = tl.zeros((BN,), dtype=tl.float16)
    for start in range(0, K, BK):
        k = start + tl.arange(0, BK)
        x = tl.load(x_ptr + m * x_m + k * x_k, mask=k < K, other=0.0).to(tl.float16)
        w = tl.load(w_ptr + n[:, None] * w_n + k[None, :] * w_k, mask=(n[:, None] < N) & (k[None, :] < K), other=0.0)
        acc += tl.sum(w.to(tl.float16) * x[None, :], axis=1)
    b = tl.load(b_ptr + n, mask=n < N, other=0.0).to(tl.float16)
    tl.store(y_ptr + m * N + n, (acc + b).to(tl.float32), mask=n < N)


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        torch.set_default_dtype(torch.float16)
        torch.set_flush_denormal(True)
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = True
        weight, bias = self.linear.weight, self.linear.bias
        (M, K), N = x.shape, weight.shape[0]
        y = torch.empty((M, N), dtype=x.dtype, device=x.device)
        half_kernel[(M, triton.cdiv(N, 16))](
            x, weight, bias, y, N, K, x.stride(0), x.stride(1), weight.stride(0), weight.stride(1), BN=16, BK=16
        )
        return y
