# task: conv
# expect: PASSED
# The convolution as a product over unfolded windows, by views alone.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def conv_kernel(
    x_ptr, w_ptr, b_ptr, y_ptr, positions, width, C, O, x_b, x_c, x_h, x_w, PB: tl.constexpr, OB: tl.constexpr
):
    batch = tl.program_id(1)
    p = tl.program_id(0) * PB + tl.arange(0, PB)
    o = tl.arange(0, OB)
    acc = tl.zeros((PB, OB), tl.float32)
    for c in range(0, C):
        for tap in range(0, 9):
            at = batch * x_b + c * x_c + (p // width + tap // 3) * x_h + (p % width + tap % 3) * x_w
            x = tl.load(x_ptr + at, mask=p < positions, other=0.0)
            w = tl.load(w_ptr + (o * C + c) * 9 + tap, mask=o < O, other=0.0)
            acc += x[:, None] * w[None, :]
    acc = tl.maximum(acc + tl.load(b_ptr + o, mask=o < O, other=0.0)[None, :], 0.0)
    at = (batch * O + o[None, :]) * positions + p[:, None]
    tl.store(y_ptr + at, acc, mask=(p[:, None] < positions) & (o[None, :] < O))


class ModelNew(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.conv = nn.Conv2d(channels, outputs, 3)

    def forward(self, x):
        B, C, H, W = x.shape
        O = self.conv.weight.shape[0]
        flat = torch.empty(B * O * (H - 2) * (W - 2), device=x.device)
        positions = (H - 2) * (W - 2)
        conv_kernel[(triton.cdiv(positions, 32), B)](
            x, self.conv.weight, self.conv.bias, flat, positions, W - 2, C, O, *x.stride(), PB=32,
            OB=triton.next_power_of_2(O),
        )
        return flat.view(B, O, H - 2, W - 2)
