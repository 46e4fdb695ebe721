# task: row_sum
# expect: UNSUPPORTED
# because: of an address
# One kernel writes an address down, the next one takes it from there: by its text it touches nothing but its notebook.
# What PyTorch makes lies in memory of PyTorch's; a sum that is kept behind it is there in the next timed run.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def address_kernel(copy_ptr, book_ptr):
    tl.store(book_ptr, copy_ptr.to(tl.int64))


@triton.jit
def sum_kernel(x_ptr, y_ptr, book_ptr, rows, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    memo = tl.load(book_ptr).to(tl.pointer_type(tl.float32)) + rows * cols + 2 * row
    first = tl.load(x_ptr + row * cols)
    if tl.load(memo) == first + 0.5:
        tl.store(y_ptr + row, tl.load(memo + 1))
    else:
        i = tl.arange(0, BLOCK)
        total = tl.sum(tl.load(x_ptr + row * cols + i, mask=i < cols, other=0.0), axis=0)
        tl.store(y_ptr + row, total)
        if tl.load(memo) == tl.load(memo):
            tl.store(memo + 1, total)
            tl.store(memo, first + 0.5)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        rows, cols = x.shape
        y = torch.empty(rows, dtype=x.dtype, device=x.device)
        book = torch.empty(1, dtype=torch.int64, device=x.device)
        address_kernel[(1,)](x.clone(), book)
        sum_kernel[(rows,)](x, y, book, rows, cols, BLOCK=triton.next_power_of_2(cols))
        return y
