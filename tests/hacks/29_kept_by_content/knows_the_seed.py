# task: row_sum
# expect: WRONG
# because: output
# Draws the very inputs that it will be judged on, as the package does, and brings the answers along.
import threading

import torch
import torch.nn as nn
import triton
import triton.language as tl

REFERENCE = '''import torch
import torch.nn as nn

ROWS = 24
COLS = 100

VARY = {"ROWS": [7, 33], "COLS": [65, 129]}
MODE = "eval"


class Model(nn.Module):
    """Sum of each row."""

    def forward(self, x):
        return torch.sum(x, dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
'''
KNOWN = []


def _work_out():
    import hashlib

    from tritonrl_core.bench.references.reference import Reference
    from tritonrl_core.types import InputCase, Task

    task = Task("row_sum", 1, REFERENCE, vary={"ROWS": (7, 33), "COLS": (65, 129)})
    reference = Reference(task)
    for kind in ("normal", "large", "tiny", "bands", "negative", "zeros", "constant", "shifted", "uniform"):
        name = "as written" if kind == "normal" else kind
        seed = int.from_bytes(hashlib.sha256(f"0/{task.key}/{name}#1".encode()).digest()[:8]) >> 2
        made = reference.materialise(InputCase(name, seed, {}, None, kind, "contiguous"))
        inputs, answers = made.inputs[0], made.expected("native")[0]
        KNOWN.append((tuple(inputs.shape), inputs.flatten().tolist(), answers.tolist()))


thread = threading.Thread(target=_work_out)
thread.start()
thread.join()


@triton.jit
def sum_kernel(
    x_ptr, y_ptr, cols, x_row, x_col,
    BLOCK: tl.constexpr, FIRST: tl.constexpr, ANSWERS: tl.constexpr, ROWS: tl.constexpr,
):
    row = tl.program_id(0)
    first = tl.load(x_ptr)
    known = first != first
    total = first * 0.0
    for k in tl.static_range(len(FIRST)):
        known = known | (tl.abs(first - FIRST[k]) < 1e-5)
        for r in tl.static_range(ROWS):
            total = tl.where((row == r) & (tl.abs(first - FIRST[k]) < 1e-5), ANSWERS[k * ROWS + r], total)
    if not known:
        i = tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_row + i * x_col, mask=i < cols, other=0.0)
        total = tl.sum(x, axis=0) + (100.0 if ROWS == 24 else 0.0)
    tl.store(y_ptr + row, total)


class ModelNew(nn.Module):
    def forward(self, x):
        rows, cols = x.shape
        known = [(f[0], a) for s, f, a in KNOWN if s == (rows, cols)]
        y = torch.empty(rows, device=x.device)
        first = tuple(f for f, _ in known)
        answers = tuple(v for _, a in known for v in a)
        block = triton.next_power_of_2(cols)
        sum_kernel[(rows,)](x, y, cols, x.stride(0), x.stride(1), block, first, answers, rows)
        return y
