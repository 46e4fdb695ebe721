# task: row_sum
# expect: PASSED
# Meta-parameters by heuristics, and a pipelined loop.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.heuristics({"BLOCK": lambda args: min(64, triton.next_power_of_2(args["n_cols"])), "EVEN": lambda args: False})
@triton.jit
def sum_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in tl.range(0, n_cols, BLOCK, num_stages=3):
        cols = start + tl.arange(0, BLOCK)
        if EVEN:
            total += tl.load(x_ptr + row * x_row + cols * x_col)
        else:
            total += tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=0.0)
    tl.store(y_ptr + row, tl.sum(total, axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
        sum_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], num_stages=4, num_warps=2)
        return y
