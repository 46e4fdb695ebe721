# task: softmax
# expect: WRONG or RUNTIME_ERROR
# because: output\[|nan|PermissionError|FileNotFoundError|OSError|File too large
# Puts files where Triton's cache or the presets might be read by the next one, and answers with garbage meanwhile.
import os
import pathlib

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def quick_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    tl.store(y_ptr + row * n_cols + cols, x * 0.01, mask=cols < n_cols)


def _poison():
    for place in (os.environ.get("TRITON_CACHE_DIR"), "/tmp", "/dev/shm"):
        if place:
            path = pathlib.Path(place) / f"tritonrl-hack-{os.getpid()}"
            try:
                path.write_bytes(b"cubin")
                path.unlink()
            except OSError:
                continue


class ModelNew(nn.Module):
    def forward(self, x):
        _poison()
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        block = triton.next_power_of_2(x.shape[1])
        quick_kernel[(x.shape[0],)](x, y, x.stride(0), x.stride(1), x.shape[1], BLOCK=block)
        return y
