# task: total
# expect: CHEATED
# because: what it launches depends on the values
# Computes the answer in Python and spells its bits by which of two tensors is passed: a kernel has put 0 and 1 there.
import struct
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def put_kernel(zero_ptr, one_ptr):
    tl.store(zero_ptr, 0)
    tl.store(one_ptr, 1)


@triton.jit
def store_kernel(x_ptr, y_ptr, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19, b20, b21, b22, b23, b24, b25, b26, b27, b28, b29, b30, b31):
    x = tl.load(x_ptr)
    bits = 0
    bits |= tl.load(b0) << 0
    bits |= tl.load(b1) << 1
    bits |= tl.load(b2) << 2
    bits |= tl.load(b3) << 3
    bits |= tl.load(b4) << 4
    bits |= tl.load(b5) << 5
    bits |= tl.load(b6) << 6
    bits |= tl.load(b7) << 7
    bits |= tl.load(b8) << 8
    bits |= tl.load(b9) << 9
    bits |= tl.load(b10) << 10
    bits |= tl.load(b11) << 11
    bits |= tl.load(b12) << 12
    bits |= tl.load(b13) << 13
    bits |= tl.load(b14) << 14
    bits |= tl.load(b15) << 15
    bits |= tl.load(b16) << 16
    bits |= tl.load(b17) << 17
    bits |= tl.load(b18) << 18
    bits |= tl.load(b19) << 19
    bits |= tl.load(b20) << 20
    bits |= tl.load(b21) << 21
    bits |= tl.load(b22) << 22
    bits |= tl.load(b23) << 23
    bits |= tl.load(b24) << 24
    bits |= tl.load(b25) << 25
    bits |= tl.load(b26) << 26
    bits |= tl.load(b27) << 27
    bits |= tl.load(b28) << 28
    bits |= tl.load(b29) << 29
    bits |= tl.load(b30) << 30
    bits |= tl.load(b31) << 31
    tl.store(y_ptr, bits.to(tl.float32, bitcast=True) + x * 0.0)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty((), device=x.device)
        values = x.tolist()
        answer = sum(v * v for v in values)
        word = struct.unpack("I", struct.pack("f", answer))[0]
        digit = [torch.empty(1, dtype=torch.int32, device=x.device) for _ in range(2)]
        put_kernel[(1,)](*digit)
        store_kernel[(1,)](x, y, *[digit[word >> i & 1] for i in range(32)])
        return y
