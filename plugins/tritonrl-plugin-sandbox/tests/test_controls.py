"""Honest work passes unchanged: Triton's interpreter, torch, recording to TTIR, compiling for a GPU."""

import pytest

KERNELS = '''
import linecache, math
def load(source):
    name = f"<candidate {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space = {"__name__": "candidate"}
    exec(compile(source, name, "exec"), space)
    return space

SOFTMAX = """
import torch, triton, triton.language as tl
@triton.jit
def softmax(x, out, n, BLOCK: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, BLOCK)
    value = tl.load(x + row * n + column, mask=column < n, other=-float("inf"))
    power = tl.exp(value - tl.max(value, axis=0))
    tl.store(out + row * n + column, power / tl.sum(power, axis=0), mask=column < n)
def check():
    x = torch.randn(16, 100); out = torch.empty_like(x)
    softmax[(16,)](x, out, 100, BLOCK=128)
    return torch.allclose(out, torch.softmax(x, -1), atol=1e-6)
"""
MATMUL = """
import torch, triton, triton.language as tl
@triton.jit
def matmul(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, K, BK):
        left = tl.load(a + rows[:, None] * K + (start + inner)[None, :])
        right = tl.load(b + (start + inner)[:, None] * N + columns[None, :])
        total += tl.dot(left, right)
    tl.store(c + rows[:, None] * N + columns[None, :], total)
def check():
    a, b, c = torch.randn(64, 64), torch.randn(64, 64), torch.empty(64, 64)
    matmul[(2, 2)](a, b, c, 64, 64, 64, BM=32, BN=32, BK=32)
    return torch.allclose(c, a @ b, atol=1e-3)
"""
'''

INTERPRETED = (
    KERNELS
    + '''
import torch, triton
torch.set_num_threads(1)
TORCH = """
import torch
def check():
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.LayerNorm(64))
    model(torch.randn(8, 64)).sum().backward()
    torch.fft.fft(torch.randn(256)); torch.linalg.svd(torch.randn(20, 20))
    torch.nn.functional.conv2d(torch.randn(1, 3, 32, 32), torch.randn(8, 3, 3, 3))
    torch.nn.functional.scaled_dot_product_attention(*[torch.randn(1, 2, 32, 16)] * 3)
    return model[0].weight.grad is not None
"""
LIBRARY = """
import random, json, re, collections, itertools, functools, dataclasses, typing, time, warnings, hashlib, threading
import queue, contextlib, inspect, copy, fractions, decimal, statistics, heapq, bisect, string, datetime, tempfile
import numpy
def check():
    numpy.linalg.inv(numpy.random.rand(20, 20) + numpy.eye(20)); time.sleep(0.001)
    done = []
    thread = threading.Thread(target=done.append, args=(hashlib.sha256(b"x").hexdigest(),))
    thread.start(); thread.join()
    return len(done[0]) == 64
"""
THREADS = """
import torch
def check():
    torch.set_num_threads(2)
    return bool(torch.isfinite((torch.randn(512, 512) @ torch.randn(512, 512)).exp().sum() + 1) | True)
"""
LAZY = """
def check():
    import xml.dom.minidom, sqlite3, torch.utils.data, numpy.polynomial
    return numpy.polynomial.Polynomial([1, 2])(1) == 3
"""
TRACEBACK = """
import traceback
def inner(): raise ValueError("boom")
def check():
    try: inner()
    except ValueError: return "boom" in traceback.format_exc()
"""
DEEP = """
def deeper(n): return deeper(n + 1)
def check():
    try: deeper(0)
    except RecursionError: return True
"""
work = dict(softmax=SOFTMAX, matmul=MATMUL, torch=TORCH, library=LIBRARY, threads=THREADS, lazy=LAZY,
            traceback=TRACEBACK, deep=DEEP)
answer({tier: {name: plain(run(on(tier), lambda: load(source)["check"](), "interpret", wall_s=60, memory_bytes=2 << 30))
               for name, source in work.items()} for tier in ("A", "B", "C1")})
'''
)

COMPILED = (
    KERNELS
    + '''
import hashlib, torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler.compiler import make_backend
from triton._C.libtriton import ir
torch.set_num_threads(1)
SIGNATURE = {"x": "*fp32", "out": "*fp32", "n": "i32", "BLOCK": "constexpr"}
TARGET = GPUTarget("cuda", 90, 32)
def source():
    return ASTSource(fn=load(SOFTMAX)["softmax"], signature=SIGNATURE, constexprs={"BLOCK": 128})
def ttir():
    """What recording does: the front end, cut after the first stage."""
    made, backend = source(), make_backend(TARGET)
    options, context = backend.parse_options({}), ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    functions, modules = backend.get_codegen_implementation(options), backend.get_module_map()
    module = made.make_ir(TARGET, options, functions, modules, context)
    stages = {}
    backend.add_stages(stages, options, made.language)
    return str(stages["ttir"](module, {})).encode()
def cubin():
    return triton.compile(source(), target=TARGET).asm["cubin"]
def digest(result):
    return [result.outcome, len(result.payload), hashlib.sha256(result.payload).hexdigest(), result.detail]
big = dict(wall_s=100, cpu_s=100, memory_bytes=4 << 30, output_bytes=1 << 20)
answer({tier: [digest(run(on(tier), ttir, "record", **big)), digest(run(on(tier), cubin, "compile", **big))]
        for tier in ("A", "B", "C1")})
'''
)


@pytest.mark.parametrize("tier", ["A", "B", "C1"])
def test_honest_kernels_and_torch_work_as_ever(interpreted, tier):
    for name, (outcome, payload, detail, label) in interpreted[tier].items():
        assert (outcome, payload) == ("ok", "True"), f"{name}: {detail}"
        assert label.startswith(tier[0])


@pytest.fixture(scope="module")
def interpreted(alone):
    return alone(INTERPRETED, TRITON_INTERPRET="1")


def test_recording_and_compiling_work_and_do_not_depend_on_the_tier(alone):
    by_tier = alone(COMPILED)
    for tier, (ttir, cubin) in by_tier.items():
        assert ttir[0] == "ok", f"{tier}: {ttir[3]}"
        assert cubin[0] == "ok", f"{tier}: {cubin[3]}"
        assert ttir[1] > 500
        assert cubin[1] > 1000
    assert len({ttir[2] for ttir, _ in by_tier.values()}) == 1
    assert len({cubin[2] for _, cubin in by_tier.values()}) == 1
