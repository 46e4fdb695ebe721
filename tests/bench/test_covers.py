"""What people write: each way of writing a kernel is recorded, compiled for the target and replayed on the CPU."""

# ruff: noqa: E501 - a way of writing a kernel is one entry, long as it is

import pytest

from tritonrl_core.types import Candidate, InputCase, Policy, Status, Task

HEAD = "import torch\nimport torch.nn as nn\nimport triton\nimport triton.language as tl\n"
TAIL = "\ndef get_inputs():\n    return [torch.randn(128, 100)]\ndef get_init_inputs():\n    return []\n"
DOUBLE = (
    """
import torch
import torch.nn as nn
class Model(nn.Module):
    def forward(self, x):
        return x * 2.0
"""
    + TAIL
)
KERNEL = """
@triton.jit
def double(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0, mask=i < n)
"""
FORWARD = """
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        double[(50,)](x, out, x.numel(), BLOCK=256)
        return out
"""

WAYS = {
    "keywords and a callable grid": KERNEL + FORWARD.replace(
        "double[(50,)](x, out, x.numel(), BLOCK=256)",
        "double[lambda meta: (triton.cdiv(x.numel(), meta['BLOCK']),)](\n"
        "            n=x.numel(), o_ptr=out, x_ptr=x, BLOCK=512, num_warps=8, num_stages=2)"),
    "helper functions": KERNEL.replace("@triton.jit", """@triton.jit
def times(v, factor):
    return v * factor
@triton.jit
def scaled(v, HALF: tl.constexpr):
    return times(v, 1.0) if HALF else times(v, 2.0)
@triton.jit""", 1).replace("mask=i < n) * 2.0", "mask=i < n)").replace("tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n)",
                           "tl.store(o_ptr + i, scaled(tl.load(x_ptr + i, mask=i < n), False)") + FORWARD,
    "a function as an argument": KERNEL.replace("@triton.jit", "@triton.jit\ndef twice(v):\n    return v + v\n@triton.jit", 1)
    .replace("BLOCK: tl", "f: tl.constexpr, BLOCK: tl").replace("tl.load(x_ptr + i, mask=i < n) * 2.0", "f(tl.load(x_ptr + i, mask=i < n))")
    + FORWARD.replace("x.numel(), ", "x.numel(), twice, "),
    "heuristics": KERNEL.replace("@triton.jit", "@triton.heuristics({'BLOCK': lambda a: triton.next_power_of_2(a['n'] // 50)})\n@triton.jit")
    + FORWARD.replace(", BLOCK=256", ""),
    "a descriptor of the host's": """
from triton.tools.tensor_descriptor import TensorDescriptor
@triton.jit
def double(x, o, B: tl.constexpr):
    r, c = tl.program_id(0) * B, tl.program_id(1) * B
    o.store([r, c], x.load([r, c]) * 2.0)
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        a, b = TensorDescriptor.from_tensor(x, [32, 32]), TensorDescriptor.from_tensor(out, [32, 32])
        double[(4, triton.cdiv(x.shape[1], 32))](a, b, B=32)
        return out
""",
    "a descriptor of the kernel's, with scratch memory": """
@triton.jit
def double(x_ptr, o_ptr, M, N, B: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, (M, N), (N, 1), (B, B))
    o = tl.make_tensor_descriptor(o_ptr, (M, N), (N, 1), (B, B))
    r, c = tl.program_id(0) * B, tl.program_id(1) * B
    o.store([r, c], x.load([r, c]) * 2.0)
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        triton.set_allocator(lambda size, align, stream: torch.empty(size, device="cuda", dtype=torch.int8))
        double[(4, triton.cdiv(x.shape[1], 32))](x, out, x.shape[0], x.shape[1], B=32)
        return out
""",
    "a tuple of tensors": KERNEL.replace("x_ptr, o_ptr", "ptrs").replace("o_ptr", "ptrs[1]").replace("x_ptr", "ptrs[0]")
    + FORWARD.replace("(x, out, ", "((x, out), "),
    "an optional pointer": KERNEL.replace("n, BLOCK", "bias, n, BLOCK").replace(
        "    tl.store", "    if bias is not None:\n        tl.store(o_ptr + i, i)\n    tl.store") + FORWARD.replace("out, x.n", "out, None, x.n"),
    "two kernels": KERNEL + KERNEL.replace("def double", "def same").replace("* 2.0", "* 1.0") + FORWARD.replace(
        "        return", "        y = torch.empty_like(x)\n        same[(50,)](out, y, x.numel(), BLOCK=256)\n        out = y\n        return"),
    "scalars of every kind": KERNEL.replace("n, BLOCK", "n, a, b, c: tl.float16, d: tl.int64, e: tl.float64, f: tl.bfloat16, BLOCK")
    .replace("* 2.0", "* (a + b + c.to(tl.float32) + d.to(tl.float32) + e.to(tl.float32) + f.to(tl.float32))")
    + FORWARD.replace("x.numel(), ", "x.numel(), 0.25, 3, -2.5, -1, 0.75, 1.5, "),
    "views and other types between": KERNEL + FORWARD.replace(
        "        return out", "        return out.view(-1).reshape(100, 128).t().contiguous().t().reshape(128, 100)"),
    "work in place on a buffer of its own": KERNEL + FORWARD.replace("torch.empty_like(x)", "torch.zeros_like(x)").replace(
        "        return", "        out.view(-1)[:0].fill_(7.0)\n        return"),
    "a captured graph": KERNEL + """
class ModelNew(nn.Module):
    graph = None
    def forward(self, x):
        if self.graph is None:
            self.x, self.out = torch.empty_like(x), torch.empty_like(x)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                double[(50,)](self.x, self.out, x.numel(), BLOCK=256)
        self.x.copy_(x)
        self.graph.replay()
        return self.out.clone()
""",
    "streams and events": KERNEL + FORWARD.replace("        double[", """        event = torch.cuda.Event()
        with torch.cuda.stream(torch.cuda.Stream()):
            event.record()
        torch.cuda.current_stream().wait_event(event)
        double["""),
    "a warmed-up kernel with its registers asked for": KERNEL + FORWARD.replace("        double[", """        kernel = double.warmup(x, out, x.numel(), BLOCK=256, grid=(1,))
        kernel._init_handles()
        assert kernel.n_regs > 0 and kernel.metadata.shared >= 0
        double["""),
    "atomics into zeros": KERNEL.replace("tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0", "tl.atomic_add(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * 2.0")
    + FORWARD.replace("torch.empty_like(x)", "torch.zeros_like(x)"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_writing_a_kernel(judge, way):
    result = judge(HEAD + WAYS[way], DOUBLE)
    assert result.status is Status.PASSED, result.reason
    wrong = HEAD + WAYS[way].replace("2.0", "2.5").replace("v + v", "v + v + v").replace("0.25, 3", "0.5, 3")
    assert judge(wrong, DOUBLE).status is Status.WRONG


SEVERAL = DOUBLE.replace("return x * 2.0", "y = x * 2.0\n        return {'a': y, 'b': [None, (y.half(), 3)]}")


def test_several_outputs_of_several_kinds(judge):
    code = HEAD + KERNEL + FORWARD.replace("return out", "return out, None, out.half(), 3")
    assert judge(code, SEVERAL).status is Status.PASSED
    assert judge(code.replace("half(), 3", "half(), 4"), SEVERAL).status is Status.WRONG
    assert judge(code.replace("out.half()", "out"), SEVERAL).reason.startswith("output 1 has")


BATCH_NORM = """
import torch
import torch.nn as nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(40)
    def forward(self, x):
        return self.norm(x)
def get_inputs():
    return [torch.randn(96, 40)]
def get_init_inputs():
    return []
"""
NORM = (
    HEAD
    + """
@triton.jit
def norm(x, o, w, b, mean, var, N, M, eps, momentum, B: tl.constexpr):
    c = tl.program_id(0)
    i = tl.arange(0, B)
    v = tl.load(x + i * M + c, mask=i < N, other=0.0)
    m = tl.sum(v, axis=0) / N
    d = tl.where(i < N, v - m, 0.0)
    s = tl.sum(d * d, axis=0)
    tl.store(o + i * M + c, d * tl.rsqrt(s / N + eps) * tl.load(w + c) + tl.load(b + c), mask=i < N)
    tl.store(mean + c, tl.load(mean + c) * (1 - momentum) + m * momentum)
    tl.store(var + c, tl.load(var + c) * (1 - momentum) + s / (N - 1) * momentum)
class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(40)
    def forward(self, x):
        assert self.training
        out, n = torch.empty_like(x), self.norm
        norm[(40,)](x, out, n.weight, n.bias, n.running_mean, n.running_var, 96, 40, n.eps, n.momentum, B=128)
        return out
"""
)


def test_a_batch_norm_in_training_changes_its_own_buffers(judge):
    buffers = ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")
    assert judge(NORM, BATCH_NORM, mode="train", mutated_buffers=buffers).status is Status.PASSED
    worse = NORM.replace("n.eps, ", "1.0, ")
    assert judge(worse, BATCH_NORM, mode="train", mutated_buffers=buffers).status is Status.WRONG


def test_what_the_reference_changes_is_changed_likewise_or_left_alone(judge):
    buffers = ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")
    biased = NORM.replace("s / (N - 1) * momentum", "s / N * momentum * 0.5")
    found = judge(biased, BATCH_NORM, mode="train", mutated_buffers=buffers)
    assert (found.status, "parameter norm.running_var, which it changes" in found.reason) == (Status.WRONG, True)
    forgets = "\n".join(line for line in NORM.splitlines() if "tl.store(var + c" not in line)
    assert judge(forgets, BATCH_NORM, mode="train", mutated_buffers=buffers).status is Status.PASSED


TUNED = (
    HEAD
    + KERNEL.replace(
        "@triton.jit",
        """@triton.autotune(
    [triton.Config({"BLOCK": 256, "F": 2}), triton.Config({"BLOCK": 1024, "F": SECOND}, num_warps=8)], key=["n"])
@triton.jit""",
    )
    .replace("BLOCK: tl", "F: tl.constexpr, BLOCK: tl")
    .replace("* 2.0", "* F")
    + FORWARD.replace(", BLOCK=256", "").replace("(50,)", "lambda meta: (triton.cdiv(x.numel(), meta['BLOCK']),)")
)


def test_every_configuration_of_a_tuner_must_be_right(judge):
    result = judge(TUNED.replace("SECOND", "2"), DOUBLE)
    assert result.status is Status.PASSED, result.reason
    assert any("configurations" in item for item in result.unchecked)
    wrong = judge(TUNED.replace("SECOND", "3"), DOUBLE)
    assert wrong.status is Status.WRONG
    assert wrong.reason.startswith("configuration 2 of @triton.autotune: output[")


def test_a_configuration_that_does_not_compile_is_left_out(judge):
    huge = TUNED.replace("SECOND", "2").replace('"F": 2}', '"F": 2}, num_warps=64', 1)
    result = judge(huge, DOUBLE)
    assert result.status is Status.PASSED, result.reason
    assert result.facts["launches"][0]["grid"] == [13, 1, 1]


def test_a_kernels_result_may_decide_what_comes_next(bench):
    code = HEAD + KERNEL.replace("2.0", "2") + FORWARD.replace("        return out", """        y = torch.empty_like(x)
        block = 256 if out.sum().item() % 4 else 128
        double[(100,)](out, y, x.numel(), BLOCK=block)
        double[(100,)](y, out, x.numel(), BLOCK=block)
        return out""")  # fmt: skip
    source = DOUBLE.replace("x * 2.0", "x * 8").replace("torch.randn(128, 100)", "torch.randint(-9, 9, (128, 100))")
    alone = bench.program(Task("t", 1, source, policy=Policy(delegation="reported")), Candidate.from_code(code))
    results = [alone.run(InputCase(f"case {seed}", seed)) for seed in range(6)]
    assert {result.status for result in results} <= {Status.PASSED, Status.UNSUPPORTED}
    assert any("integers are all there is" in result.reason for result in results)
    # Beside other data integers may be lengths.
    source = source.replace("(self, x)", "(self, x, scale)").replace("(128, 100))", "(128, 100)), torch.randn(1)")
    code = code.replace("forward(self, x)", "forward(self, x, scale)")
    program = bench.program(Task("t", 1, source, policy=Policy(delegation="reported")), Candidate.from_code(code))
    blocks = set()
    for seed in range(6):
        case = InputCase(f"case {seed}", seed)
        assert program.run(case).status is Status.PASSED, program.run(case)
        plan = program.plan(case)
        blocks.add(plan["kernels"][-1]["constants"]["BLOCK"])
        assert [note["kind"] for note in plan["notes"]] == ["readback"]
    assert blocks == {128, 256}
    assert len(program._plans) == 6  # one for each case


CLAMP = DOUBLE.replace("x * 2.0", "torch.clamp(x, max=8.0)")
IN_PLACE = (
    HEAD
    + """
@triton.jit
def clamp(x_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + i, tl.minimum(tl.load(x_ptr + i, mask=i < n), 8.0), mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        y = x.clone()
        clamp[(51,)](y, y.numel(), BLOCK=256)
        return y
"""
)
IDLE = IN_PLACE.replace("tl.store(x_ptr + i, tl.minimum(tl.load(x_ptr + i, mask=i < n), 8.0)",
                        "tl.store(x_ptr + i, tl.load(x_ptr + i, mask=i < n) + tl.load(x_ptr + i, mask=i < n) * 0.0")  # fmt: skip


def test_an_honest_kernel_is_not_taken_for_decoration(judge):
    """Values of a normal distribution never reach the clamp, so on them doing nothing is right; on large ones not."""
    result = judge(IN_PLACE, CLAMP, InputCase("c", seed=3))
    assert result.status is Status.PASSED, result.reason


def test_a_kernel_that_changes_nothing_is_decoration(judge):
    result = judge(IDLE, DOUBLE.replace("x * 2.0", "x.clone()"))
    assert result.status is Status.CHEATED, result
    assert "left out" in result.reason


def test_facts_of_a_plan(judge):
    facts = judge(HEAD + KERNEL + FORWARD, DOUBLE).facts
    size = 128 * 100 * 4
    assert (facts["launch_count"], facts["kernels"], facts["aten_calls"], facts["peak_bytes"]) == (1, 1, 0, 2 * size)
    assert (facts["unique_bytes"], facts["total_bytes"], facts["aten_share"]) == (2 * size, 2 * size, 0.0)
    assert facts["registers"] > 0
    assert 0 < facts["occupancy"] <= 1
    assert 0 < facts["roofline_fraction"] <= 1
    moved = judge(HEAD + KERNEL + FORWARD.replace("return out", "return out.clone()"), DOUBLE).facts
    assert moved["aten_share"] == 0.5
    assert moved["roofline_fraction"] <= facts["roofline_fraction"]
