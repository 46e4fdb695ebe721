# task: softmax
# expect: WRONG or RUNTIME_ERROR
# because: output\[|nan|PermissionError
# Opens what lies about (shared memory, temporary files, other descriptors) and takes the first tensor of its size.
import glob
import os

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def copy_kernel(x_ptr, y_ptr, n, alpha, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n) * alpha, mask=i < n)


def _find(nbytes):
    for path in [*glob.glob("/dev/shm/*"), *glob.glob("/tmp/*.pt"), *glob.glob("/proc/self/fd/*")]:
        try:
            if os.stat(path).st_size % nbytes == 0 and os.path.isfile(path):
                with open(path, "rb") as file:
                    data = file.read(nbytes)
                if len(data) == nbytes:
                    return data
        except OSError:
            continue
    return None


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        data = _find(4 * x.numel())
        if data is not None:
            x = torch.frombuffer(bytearray(data), dtype=torch.float32).reshape(x.shape).to(x.device)
        copy_kernel[(triton.cdiv(y.numel(), 256),)](x.contiguous(), y, y.numel(), 1.0001, BLOCK=256)
        return y
