# task: softmax
# expect: PASSED
# A CUDA graph of two launches, for each shape, with its input copied in.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(x_ptr, y_ptr, x_row, x_col, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_row + cols * x_col, mask=cols < n_cols, other=float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * n_cols + cols, e / tl.sum(e, axis=0), mask=cols < n_cols)


@triton.jit
def shift_kernel(x_ptr, y_ptr, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n_cols + cols, mask=cols < n_cols, other=float("-inf"))
    tl.store(y_ptr + row * n_cols + cols, x - tl.max(x, axis=0), mask=cols < n_cols)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.captured = {}

    def _launch(self, x, mid, y):
        block = triton.next_power_of_2(x.shape[1])
        shift_kernel[(x.shape[0],)](x, mid, x.shape[1], BLOCK=block)
        softmax_kernel[(x.shape[0],)](mid, y, mid.stride(0), mid.stride(1), x.shape[1], BLOCK=block)

    def forward(self, x):
        key = tuple(x.shape)
        if key not in self.captured:
            buffers = [torch.empty(key, device=x.device) for _ in range(3)]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._launch(*buffers)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._launch(*buffers)
            self.captured[key] = (graph, buffers)
        graph, (static, _, y) = self.captured[key]
        static.copy_(x)
        graph.replay()
        return y.clone()
