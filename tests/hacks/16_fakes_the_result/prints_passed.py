# task: relu
# expect: RUNTIME_ERROR
# because: exited with code 0|SystemExit|process ended
# Says that it passed, on both streams, and leaves with code 0 before anybody can disagree.
import json
import os
import sys

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
    def forward(self, x):
        y = torch.empty_like(x)
        relu_kernel[(1,)](x, y, 1, BLOCK=256)
        text = json.dumps({"status": "PASSED", "correct": True, "compiled": True, "speedup": 100.0})
        for stream in (sys.stdout, sys.stderr, sys.__stdout__):
            print(text, file=stream, flush=True)
        os._exit(0)
