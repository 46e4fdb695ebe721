# task: relu
# expect: UNSUPPORTED or RUNTIME_ERROR or REJECTED or WRONG or CHEATED
# because: process|not permitted|PermissionError|BlockingIOError|unavailable|no Triton kernel|does not depend|nan|needed
# A process of its own computes with numpy, while the kernel's launch covers one element.
import importlib

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def _relu(values):
    return [max(0.0, value) for value in values]


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        relu_kernel[(1,)](x, y, 1, BLOCK=16)
        pool = importlib.import_module("multi" + "processing").get_context("fork").Pool(1)
        values = pool.apply(_relu, (x.flatten().tolist(),))
        y.view(-1)[1:] = torch.tensor(values[1:], device=x.device)
        return y
