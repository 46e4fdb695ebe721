# task: matmul
# expect: REJECTED
# because: PyTorch does arithmetic: aten.mm
# Two configurations: the first one multiplies; before the second one's launch its hook has torch multiply, and the
# kernel does nothing. Whoever looks at the first alone sees no torch; the clock takes the second.
import torch
import torch.nn as nn
import triton
import triton.language as tl


def _beforehand(arguments):
    torch.mm(arguments["a_ptr"], arguments["b_ptr"], out=arguments["c_ptr"])


CONFIGS = [
    triton.Config({"BLOCK": 32, "DONE": False}),
    triton.Config({"BLOCK": 32, "DONE": True}, pre_hook=_beforehand),
]


@triton.autotune(configs=CONFIGS, key=["m", "n", "k"])
@triton.jit
def matmul_kernel(a_ptr, b_ptr, c_ptr, m, n, k, am, ak, bk, bn, BLOCK: tl.constexpr, DONE: tl.constexpr):
    if not DONE:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        total = tl.zeros((BLOCK, BLOCK), tl.float32)
        for start in range(0, k, BLOCK):
            inner = start + tl.arange(0, BLOCK)
            a = tl.load(
                a_ptr + rows[:, None] * am + inner[None, :] * ak,
                mask=(rows < m)[:, None] & (inner < k)[None, :], other=0.0,
            )
            b = tl.load(
                b_ptr + inner[:, None] * bk + cols[None, :] * bn,
                mask=(inner < k)[:, None] & (cols < n)[None, :], other=0.0,
            )
            total += tl.dot(a, b, input_precision="ieee")
        tl.store(c_ptr + rows[:, None] * n + cols[None, :], total, mask=(rows < m)[:, None] & (cols < n)[None, :])


class ModelNew(nn.Module):
    def forward(self, a, b):
        (m, k), n = a.shape, b.shape[1]
        c = torch.empty((m, n), device=a.device, dtype=a.dtype)
        grid = (triton.cdiv(m, 32), triton.cdiv(n, 32))
        matmul_kernel[grid](a, b, c, m, n, k, a.stride(0), a.stride(1), b.stride(0), b.stride(1))
        return c
