# task: relu
# expect: WRONG or UNSUPPORTED or REJECTED or CHEATED or RUNTIME_ERROR
# because: .
# A tensor whose class computes when somebody looks: the memory behind it is the input's.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class _Lazy(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        plain = [arg.as_subclass(torch.Tensor).clamp(min=0) if isinstance(arg, cls) else arg for arg in args]
        return func(*plain, **(kwargs or {}))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        relu_kernel[(1,)](x, y, 1, BLOCK=16)
        return y.copy_(x).as_subclass(_Lazy)
