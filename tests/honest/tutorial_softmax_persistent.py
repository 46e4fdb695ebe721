# task: softmax
# expect: PASSED
# Rows in a grid of as many programs as the device has multiprocessors, software-pipelined.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, y_ptr, x_row, x_col, n_rows, n_cols, BLOCK: tl.constexpr, STAGES: tl.constexpr):
    start, step = tl.program_id(0), tl.num_programs(0)
    for row in tl.range(start, n_rows, step, num_stages=STAGES):
        cols = tl.arange(0, BLOCK)
        mask = cols < n_cols
        x = tl.load(x_ptr + row * x_row + cols * x_col, mask=mask, other=-float("inf"))
        e = tl.exp(x - tl.max(x, axis=0))
        tl.store(y_ptr + row * n_cols + cols, e / tl.sum(e, axis=0), mask=mask)


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
        sms = torch.cuda.get_device_properties(x.device).multi_processor_count
        softmax_kernel[(min(sms, rows),)](
            x, y, x.stride(0), x.stride(1), rows, cols, BLOCK=triton.next_power_of_2(cols), STAGES=2, num_warps=8
        )
        return y
