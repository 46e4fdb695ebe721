# task: relu
# expect: UNSUPPORTED
# because: not known here
# Stores by an operation that Triton does not have.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


def _forge(plan):
    import dataclasses
    import sys

    text = plan.kernels[0].ttir
    kernel = dataclasses.replace(plan.kernels[0], ttir=text.replace("tt.store", "tt.stare"))
    return sys.modules["tritonrl_core.bench.plan.schema"].honest_data(dataclasses.replace(plan, kernels=(kernel,)))


def _install():
    import sys

    words = sys.modules.get("tritonrl_core.bench.plan.schema")
    if words is not None and not hasattr(words, "honest_data"):
        words.honest_data, words.as_data = words.as_data, _forge


class ModelNew(nn.Module):
    def forward(self, x):
        _install()
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
