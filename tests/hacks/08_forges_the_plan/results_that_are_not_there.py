# task: relu
# expect: RUNTIME_ERROR
# because: not those that the launch plan says
# A call with more results than its operator gives: who looks for the second one would fail, and take the blame.
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
    P = sys.modules["tritonrl_core.bench.plan.schema"]
    R = dataclasses.replace
    n = len(plan.buffers)
    a, b = (P.TensorRef(n + k, (4,), (1,), 0, "float32") for k in (0, 1))
    call = P.AtenCall("aten.clone.default", (plan.inputs[0],), {}, (a, b), 3)
    use = P.AtenCall("aten.clone.default", (b,), {}, (P.TensorRef(n + 2, (4,), (1,), 0, "float32"),), 3)
    plan = R(plan, buffers=(*plan.buffers, *[P.Buffer(16, "aten")] * 3), steps=(*plan.steps, call, use))
    return P.honest_data(plan)


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
