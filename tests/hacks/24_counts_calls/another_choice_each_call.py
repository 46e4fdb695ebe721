# task: relu
# expect: WRONG or UNSUPPORTED
# because: nan|do not do the same
# The function that prunes configurations leaves the right one in at first, and a lazy one later.
import torch
import torch.nn as nn
import triton
import triton.language as tl


CALLS = []


def prune(configs, named_args, **_):
    CALLS.append(1)
    return configs[:1] if len(CALLS) < 2 else configs[1:]


@triton.autotune([triton.Config({"BLOCK": 256, "PART": 1}), triton.Config({"BLOCK": 256, "PART": 8})], key=["n"], prune_configs_by={"early_config_prune": prune})
@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr, PART: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    m = (i < n) & (i % PART == 0)
    x = tl.load(x_ptr + i, mask=m)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=m)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        relu_kernel.cache.clear()
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel())
        return y
