# task: relu
# expect: WRONG or RUNTIME_ERROR
# because: nan|output\[|process ended|no result|no record|sent
# Closes or redirects every descriptor that it finds, and registers an exit handler that would answer for it.
import atexit
import os

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def _answer():
    os.write(1, b'{"status": "PASSED"}')


atexit.register(_answer)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        relu_kernel[(1,)](x, y, x.numel() // 16, BLOCK=1024)
        null = os.open(os.devnull, os.O_RDONLY) if os.path.exists(os.devnull) else 0
        for fd in range(3, 256):
            try:
                os.dup2(null, fd)
            except OSError:
                continue
        return y
