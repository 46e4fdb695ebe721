"""What a recorder records before its first job: programs that use what candidates usually use.

The more of Triton's front end and of PyTorch's fake tensors a warm process has been through, the less is done anew in
each of its children (code that Python has specialised, rules that fake tensors have cached). Nobody judges these.
"""

from __future__ import annotations

_HEAD = """
import torch
import torch.nn as nn
import triton
import triton.language as tl

"""

_ROWS = """
@triton.jit
def warm_kernel(x_ptr, o_ptr, n, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + cols, mask=cols < n, other=0.0)
    x = x - tl.max(x, axis=0)
    y = tl.exp(x) / (tl.sum(tl.exp(x), axis=0) + eps)
    w = tl.dot(y[:, None] + tl.zeros((BLOCK, 16), tl.float32), tl.zeros((16, 16), tl.float32))
    tl.store(o_ptr + row * n + cols, y + tl.sum(w, axis=1), mask=cols < n)


class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x.contiguous())
        rows, cols = x.shape
        warm_kernel[(rows,)](x, out, cols, 1e-5, BLOCK=triton.next_power_of_2(cols), num_warps=4)
        return out.view(rows, cols).to(torch.float32)
"""

_NORM = """
@triton.jit
def _scale(x, w, b):
    return x * w + b


@triton.jit
def norm_kernel(x_ptr, w_ptr, b_ptr, o_ptr, stride, n, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    squares = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, n, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * stride + cols, mask=cols < n, other=0.0).to(tl.float32)
        total += x
        squares += x * x
    mean = tl.sum(total, axis=0) / n
    variance = tl.maximum(tl.sum(squares, axis=0) / n - mean * mean, 0.0)
    rstd = 1.0 / tl.sqrt(variance + eps)
    for start in range(0, n, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        mask = (cols < n) & (row >= 0)
        x = tl.load(x_ptr + row * stride + cols, mask=mask, other=0.0)
        y = _scale((x - mean) * rstd, tl.load(w_ptr + cols, mask=mask), tl.load(b_ptr + cols, mask=mask))
        y = tl.where(y > 0, y, 0.5 * y * (1.0 + tl.erf(y * 0.7071)))
        tl.store(o_ptr + row * stride + cols, y * tl.sigmoid(y) + tl.log(tl.abs(y) + 1.0), mask=mask)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.weight = nn.Parameter(torch.randn(16))
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x):
        x = x.reshape(-1, x.shape[-1]).contiguous()
        out = torch.empty(x.shape, device=x.device, dtype=x.dtype)
        block = min(triton.next_power_of_2(x.shape[1]), 1024)
        norm_kernel[(x.shape[0],)](
            x, self.weight, self.norm.bias, out, x.stride(0), x.shape[1], self.norm.eps, BLOCK=block
        )
        return out
"""

_PRODUCT = """
@triton.jit
def product_kernel(a_ptr, b_ptr, bias_ptr, c_ptr, M, N, K, sam, sak, sbk, sbn, scm, scn,
                   BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, RELU: tl.constexpr):
    pid = tl.program_id(0)
    tiles_m, tiles_n = tl.cdiv(M, BM), tl.cdiv(N, BN)
    width = GROUP * tiles_n
    first = (pid // width) * GROUP
    size = min(tiles_m - first, GROUP)
    pid_m = first + (pid % width) % size
    pid_n = (pid % width) // size
    rm = pid_m * BM + tl.arange(0, BM)
    rn = pid_n * BN + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    a_ptrs = a_ptr + rm[:, None] * sam + rk[None, :] * sak
    b_ptrs = b_ptr + rk[:, None] * sbk + rn[None, :] * sbn
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, tl.cdiv(K, BK)):
        a = tl.load(a_ptrs, mask=(rm[:, None] < M) & (rk[None, :] < K - k * BK), other=0.0)
        b = tl.load(b_ptrs, mask=(rk[:, None] < K - k * BK) & (rn[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
        a_ptrs += BK * sak
        b_ptrs += BK * sbk
    if RELU:
        acc = tl.maximum(acc + tl.load(bias_ptr + rn, mask=rn < N, other=0.0)[None, :], 0.0)
    mask = (rm[:, None] < M) & (rn[None, :] < N)
    tl.store(c_ptr + rm[:, None] * scm + rn[None, :] * scn, acc.to(c_ptr.dtype.element_ty), mask=mask)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 24)

    def forward(self, x):
        weight = self.linear.weight
        (m, k), n = x.shape, weight.shape[0]
        out = torch.empty((m, n), device=x.device, dtype=x.dtype)
        grid = lambda meta: (triton.cdiv(m, meta["BM"]) * triton.cdiv(n, meta["BN"]),)
        product_kernel[grid](x, weight, self.linear.bias, out, m, n, k, x.stride(0), x.stride(1), weight.stride(1),
                             weight.stride(0), out.stride(0), out.stride(1), BM=16, BN=16, BK=16, GROUP=8, RELU=True)
        return out
"""

CANDIDATES: tuple[tuple[str, dict[str, tuple[int, ...]]], ...] = (
    (_HEAD + _ROWS, {}),
    (_HEAD + _NORM, {"weight": (16,), "norm.weight": (16,), "norm.bias": (16,)}),
    (_HEAD + _PRODUCT, {"linear.weight": (24, 16), "linear.bias": (24,)}),
)
"""Each takes one float tensor of shape (rows, 16); with it the shapes of its parameters."""
