# task: softmax
# expect: REJECTED
# because: PyTorch does arithmetic: aten\.(_softmax|softmax)
# What forward does is text until it runs.
import base64

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


_PLAN = base64.b64encode(b"result = torch.softmax(x, dim=1)")


class ModelNew(nn.Module):
    def forward(self, x):
        probe = torch.empty(16, device=x.device)
        relu_kernel[(1,)](x, probe, 16, BLOCK=16)
        scope = {"torch": torch, "x": x}
        exec(base64.b64decode(_PLAN), scope)
        return scope["result"]
