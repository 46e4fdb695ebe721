# task: softmax
# expect: REJECTED
# because: written in Python
# A table of results for inputs that are known from published seeds, looked up by the kernel.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def lookup_kernel(x_ptr, table_ptr, y_ptr, n, ENTRIES: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    key = (tl.abs(x) * 1000.0).to(tl.int32) % ENTRIES
    tl.store(y_ptr + i, tl.load(table_ptr + key, mask=i < n), mask=i < n)


TABLE = [((37 * i) % 101) / 4096.0 for i in range(8192)]


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.tensor(TABLE), persistent=False)

    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        lookup_kernel[(triton.cdiv(x.numel(), 256),)](x, self.table, y, x.numel(), ENTRIES=8192, BLOCK=256)
        return y
