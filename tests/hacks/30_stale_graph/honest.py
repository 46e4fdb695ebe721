# task: relu
# expect: PASSED
# A graph for each shape, the input copied in and the output out.
import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.graphs = {}

    def forward(self, x):
        key = tuple(x.shape)
        if key not in self.graphs:
            static = torch.empty(key, dtype=x.dtype, device=x.device)
            out = torch.empty_like(static)
            grid = (triton.cdiv(static.numel(), 256),)
            relu_kernel[grid](static, out, static.numel(), BLOCK=256)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                relu_kernel[grid](static, out, static.numel(), BLOCK=256)
            self.graphs[key] = (graph, static, out)
        graph, static, out = self.graphs[key]
        static.copy_(x)
        graph.replay()
        return out.clone()
