"""Normalisation, addition and ReLU in one pass, BLOCK 1024, 4 warps: two loads and one store an
element. The channel follows from the flat offset.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def batch_norm_add_relu_kernel(
    x_ptr, residual_ptr, mean_ptr, variance_ptr, weight_ptr, bias_ptr, out_ptr, n, channels, pixels, BLOCK: tl.constexpr
):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    channel = offsets // pixels % channels
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32)
    mean = tl.load(mean_ptr + channel, mask=mask).to(tl.float32)
    variance = tl.load(variance_ptr + channel, mask=mask, other=1.0).to(tl.float32)
    weight = tl.load(weight_ptr + channel, mask=mask).to(tl.float32)
    bias = tl.load(bias_ptr + channel, mask=mask).to(tl.float32)
    out = (x - mean) * tl.rsqrt(variance + 1e-5) * weight + bias
    out += tl.load(residual_ptr + offsets, mask=mask).to(tl.float32)
    out = tl.maximum(out, 0.0)
    tl.store(out_ptr + offsets, out, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels)

    def forward(self, x, residual):
        x = x.contiguous()
        residual = residual.contiguous()
        out = torch.empty_like(x)
        norm = self.norm
        n = x.numel()
        batch_norm_add_relu_kernel[(triton.cdiv(n, 1024),)](
            x, residual, norm.running_mean, norm.running_var, norm.weight, norm.bias, out,
            n, x.shape[1], x.shape[2] * x.shape[3], BLOCK=1024,
        )
        return out
