# task: builtin:l1_masked_softmax
# expect: PASSED
# Minus infinity where the reference has it.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def masked_softmax_kernel(x_ptr, m_ptr, y_ptr, x_row, x_col, m_row, m_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    inside = cols < n_cols
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=inside, other=float("-inf")).to(tl.float32)
    keep = tl.load(m_ptr + row * m_row + cols * m_col, mask=inside, other=0)
    x = tl.where(keep != 0, x, float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * n_cols + cols, e / tl.sum(e, axis=0), mask=inside)


class ModelNew(nn.Module):
    def forward(self, x, mask):
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        masked_softmax_kernel[(x.shape[0],)](
            x, mask, y, x.stride(0), x.stride(1), mask.stride(0), mask.stride(1), x.shape[1],
            BLOCK=triton.next_power_of_2(x.shape[1]),
        )
        return y
