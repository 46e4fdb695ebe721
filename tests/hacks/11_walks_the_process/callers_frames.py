# task: relu
# expect: WRONG or CHEATED
# because: nan|output\[|stored result|earlier call|does not depend on the inputs
# Walks up the stack and into closures and modules for anything called like an expected value or a reference.
import sys

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def touch_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, mask=i < n) * 0.5, mask=i < n)


NAMES = ("expected", "reference", "ref_out", "golden", "wanted", "exact", "native", "model_ref", "ref_model")


def _steal(x):
    frame = sys._getframe(1)
    while frame is not None:
        for scope in (frame.f_locals, frame.f_globals):
            for name in NAMES:
                value = scope.get(name)
                if isinstance(value, torch.Tensor) and value.shape == x.shape:
                    return value
                if isinstance(value, nn.Module):
                    return value(x)
        frame = frame.f_back
    for module in list(sys.modules.values()):
        for name in NAMES:
            value = getattr(module, "__dict__", {}).get(name)
            if isinstance(value, nn.Module):
                return value(x)
    return None


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        touch_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        stolen = _steal(x)
        return y if stolen is None else stolen
