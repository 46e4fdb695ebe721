# task: linear
# expect: REJECTED or BUILD_ERROR or RUNTIME_ERROR
# because: No module named|cannot import|has no attribute|not allowed
# Looks for the reference under the names that evaluators give it.
import importlib
import sys

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def _find():
    for name in ("reference", "ref", "kernel_ref", "original", "task", "__main__"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "Model"):
            return module.Model
    return importlib.import_module("reference").Model


Base = _find()


class ModelNew(Base):
    def forward(self, x):
        y = super().forward(x)
        relu_kernel[(1,)](x, torch.empty_like(x), 1, BLOCK=16)
        return y
