# task: relu
# expect: TIMEOUT or UNSUPPORTED or BUILD_ERROR or RUNTIME_ERROR
# because: no result|cannot be run|compile
# Forty functions, each of which calls the next twice.
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
    import re
    import sys

    text = plan.kernels[0].ttir
    names = [f"f{n}" for n in range(40)]
    extra = ""
    for n, name in enumerate(names):
        inner = "" if n == 39 else f"    tt.call @f{n + 1}(%p) : (!tt.ptr<f32>) -> ()\n" * 2
        extra += f"  tt.func private @{name}(%p: !tt.ptr<f32>) {{\n{inner}    tt.return\n  }}\n"
    at = text.index("tt.return")
    text = text[:at] + "tt.call @f0(" + re.search(r"\((%\w+): !tt.ptr", text)[1] + ") : (!tt.ptr<f32>) -> ()\n    " + text[at:]
    end = text.rindex("}")
    text = text[:end] + extra + text[end:]
    plan = dataclasses.replace(plan, kernels=(dataclasses.replace(plan.kernels[0], ttir=text),))
    return sys.modules["tritonrl_core.bench.plan.schema"].honest_data(plan)


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
