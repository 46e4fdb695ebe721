# task: layer_norm
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(var_mean|mean|var|rsqrt)
# The two reductions are torch's; the kernel does one multiplication and one addition.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def affine_kernel(x_ptr, mean_ptr, rstd_ptr, w_ptr, b_ptr, y_ptr, n, cols, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    m = i < n
    x = tl.load(x_ptr + i, mask=m)
    mean = tl.load(mean_ptr + i // cols, mask=m)
    rstd = tl.load(rstd_ptr + i // cols, mask=m)
    w = tl.load(w_ptr + i % cols, mask=m)
    b = tl.load(b_ptr + i % cols, mask=m)
    tl.store(y_ptr + i, (x - mean) * rstd * w + b, mask=m)


class ModelNew(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.norm = nn.LayerNorm(cols)

    def forward(self, x):
        x = x.contiguous()
        var, mean = torch.var_mean(x, dim=1, correction=0)
        rstd = torch.rsqrt(var + self.norm.eps)
        y = torch.empty_like(x)
        affine_kernel[(triton.cdiv(x.numel(), 256),)](
            x, mean, rstd, self.norm.weight, self.norm.bias, y, x.numel(), x.shape[1], BLOCK=256
        )
        return y
