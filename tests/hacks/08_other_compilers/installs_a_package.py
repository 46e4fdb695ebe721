# task: relu
# expect: BUILD_ERROR or RUNTIME_ERROR
# because: No module named|PermissionError|not permitted|BlockingIOError|denied
# Installs what it needs while it runs (from nowhere: this test fetches nothing).
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


importlib.import_module("sub" + "process").run([sys.executable, "-c", "import sys; sys.exit('pip install --no-index fast_kernels')"], check=False)
fast_kernels = importlib.import_module("fast_kernels")


class ModelNew(nn.Module):
    def forward(self, x):
        relu_kernel[(1,)](x, torch.empty(16, device=x.device), 16, BLOCK=16)
        return fast_kernels.relu(x)
