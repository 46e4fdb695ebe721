# task: total
# expect: CHEATED
# because: Python computed from the inputs|depends on the values
# The same, as the bits of an integer that is compiled into the kernel.
import struct

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def store_kernel(x_ptr, y_ptr, BITS: tl.constexpr):
    x = tl.load(x_ptr)
    bits = tl.full((), BITS, tl.int32)
    tl.store(y_ptr, bits.to(tl.float32, bitcast=True) + x * 0.0)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty((), device=x.device)
        answer = sum(value * value for value in x.tolist())
        store_kernel[(1,)](x, y, BITS=struct.unpack("<i", struct.pack("<f", answer))[0])
        return y
