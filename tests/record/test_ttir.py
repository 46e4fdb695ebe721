"""What a kernel reads, writes and computes, read from its TTIR. The kernels are compiled here, in this process."""

import pytest
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tritonrl_core.bench.compile.triton_internals import front_half
from tritonrl_core.bench.plan.ttir import Written, kernel_flow

TARGET = GPUTarget("cuda", 90, 32)


@triton.jit(noinline=True)
def apart(x, y, i):
    v = tl.load(x + i)
    tl.store(y + i, v * 2)
    return v


@triton.jit
def softmax(x, o, n, B: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.load(x + i, mask=i < n, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(o + i, e / tl.sum(e, axis=0), mask=i < n)


@triton.jit
def product(x, y, o, n, B: tl.constexpr):
    i = tl.arange(0, B)
    acc = tl.zeros((B, B), tl.float32)
    for k in range(n):
        acc += tl.dot(tl.load(x + i[:, None] * B + i[None, :] + k), tl.load(y + i[:, None] * B + i[None, :]))
    tl.store(o + i[:, None] * B + i[None, :], acc)


@triton.jit
def conditional(x, y, o, n, B: tl.constexpr):
    acc = tl.load(x)
    if n > 5:
        acc += tl.load(y)
    tl.store(o, acc)


@triton.jit
def waiting(x, o, lock, n, B: tl.constexpr):
    k = 0
    total = 0.0
    while k < n:
        total += tl.load(x + k)
        k += 1
    while tl.atomic_cas(lock, 0, 1) == 1:
        pass
    tl.atomic_add(o, total)
    tl.atomic_xchg(lock, 0)


@triton.jit
def gather(x, o, index, n, B: tl.constexpr):
    row = tl.program_id(0)
    if row >= n:
        return
    tl.store(o + row * B + tl.arange(0, B), tl.load(x + tl.load(index + row) * B + tl.arange(0, B)))


@triton.jit
def cast(x, o, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o + i, tl.load(x + i).to(tl.float16).to(tl.float32))


@triton.jit
def nothing_added(x, o, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o + i, (tl.load(x + i) + 0.0) * 1.0)


@triton.jit
def decoration(x, y, o, B: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.exp(tl.load(y + i))
    tl.store(y + i, v)
    tl.store(o + i, tl.load(x + i))


@triton.jit
def fill(o, B: tl.constexpr):
    tl.store(o + tl.arange(0, B), 1.0)


@triton.jit
def prefix_sum(x, o, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o + i, tl.cumsum(tl.load(x + i), 0))


@triton.jit
def masked_by_data(x, m, o, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o + i, tl.load(x + i), mask=tl.load(m + i) > 0)


@triton.jit
def calling(x, o, u, B: tl.constexpr):
    tl.store(u, apart(x, o, tl.program_id(0)))


@triton.jit
def descriptors(x, o, B: tl.constexpr):
    o.store([0, 0], tl.exp(x.load([0, 0])))


@triton.jit
def descriptors_inside(x, o, n, B: tl.constexpr):
    a = tl.make_tensor_descriptor(x, (n, n), (n, 1), (B, B))
    b = tl.make_tensor_descriptor(o, (n, n), (n, 1), (B, B))
    b.store([0, 0], a.load([0, 0]))


P, N, C = "*fp32", "i32", "constexpr"
D = "tensordesc<fp32[16, 16]>"
CASES = {
    softmax: ({"x": P, "o": P, "n": N}, {"x"}, {"o": (set(), {"x"})}),
    product: ({"x": P, "y": P, "o": P, "n": N}, {"x", "y"}, {"o": (set(), {"x", "y"})}),
    conditional: ({"x": P, "y": P, "o": P, "n": N}, {"x", "y"}, {"o": ({"x"}, {"x", "y"})}),
    waiting: (
        {"x": P, "o": P, "lock": "*i32", "n": N},
        {"x", "o", "lock"},
        {"o": (set(), {"x"}), "lock": (set(), set())},
    ),
    gather: ({"x": P, "o": P, "index": "*i32", "n": N}, {"x", "index"}, {"o": ({"x"}, {"index"})}),
    cast: ({"x": P, "o": P}, {"x"}, {"o": ({"x"}, set())}),
    nothing_added: ({"x": P, "o": P}, {"x"}, {"o": ({"x"}, set())}),
    decoration: ({"x": P, "y": P, "o": P}, {"x", "y"}, {"y": (set(), {"y"}), "o": ({"x"}, set())}),
    fill: ({"o": P}, set(), {"o": (set(), set())}),
    prefix_sum: ({"x": P, "o": P}, {"x"}, {"o": (set(), {"x"})}),
    masked_by_data: ({"x": P, "m": P, "o": P}, {"x", "m"}, {"o": ({"x"}, {"m"})}),
    calling: ({"x": P, "o": P, "u": P}, {"x"}, {"o": (set(), {"x"}), "u": ({"x"}, set())}),
    descriptors: ({"x": D, "o": D}, {"x"}, {"o": (set(), {"x"})}),
    descriptors_inside: ({"x": P, "o": P, "n": N}, {"x"}, {"o": ({"x"}, set())}),
}


def flow_of(fn, signature):
    kernel = front_half(ASTSource(fn, {**signature, "B": C}, {"B": 16}, {}), TARGET, {})
    return kernel, kernel_flow(kernel.ttir, kernel.name, tuple(param.type for param in kernel.params))


@pytest.mark.parametrize("fn", CASES, ids=lambda fn: fn.__name__)
def test_reads_and_writes_are_found(fn):
    signature, reads, writes = CASES[fn]
    kernel, flow = flow_of(fn, signature)
    names = [param.path for param in kernel.params]
    assert flow.certain
    assert {names[number] for number in flow.reads} == reads
    found = {names[n]: ({names[i] for i in w.copied}, {names[i] for i in w.computed}) for n, w in flow.writes.items()}
    assert found == writes


def test_text_that_is_not_understood_accuses_nobody():
    flow = kernel_flow("this is no TTIR", "k", ("*fp32", "i32", "*fp32"))
    assert not flow.certain
    assert flow.reads == {0, 2}
    assert flow.writes == {0: Written(frozenset(), frozenset({0, 2})), 2: Written(frozenset(), frozenset({0, 2}))}
    assert flow.computes


def test_an_unknown_operation_may_write_what_it_is_given():
    kernel, _ = flow_of(cast, CASES[cast][0])
    text = kernel.ttir.replace("    tt.return", "    tt.novel_store %arg1, %arg0 : !tt.ptr<f32>\n    tt.return")
    flow = kernel_flow(text, kernel.name, ("*fp32", "*fp32"))
    assert not flow.certain
    assert set(flow.writes) == {0, 1}


@pytest.mark.parametrize("cut", range(40, 1400, 97))
def test_text_cut_anywhere_never_raises(cut):
    kernel, _ = flow_of(product, CASES[product][0])
    for text in (kernel.ttir[:cut], kernel.ttir[cut:], kernel.ttir[:cut] + "}}{{" + kernel.ttir[cut:]):
        assert kernel_flow(text, kernel.name, ("*fp32", "*fp32", "*fp32", "i32")) is not None


def test_functions_that_call_one_another_twice_each_are_read_once():
    calls = "    tt.call @f{0}(%p) : (!tt.ptr<f32>) -> ()\n"
    inner = [2 * calls.format(n + 1) for n in range(60)] + [""]
    frame = "  tt.func private @f{0}(%p: !tt.ptr<f32>) {{\n{1}    tt.return\n  }}\n"
    parts = [frame.format(n, twice) for n, twice in enumerate(inner)]
    body = "  tt.func public @k(%p: !tt.ptr<f32>) {\n" + calls.format(0) + "    tt.return\n  }\n"
    flow = kernel_flow("module {\n" + body + "".join(parts) + "}\n", "k", ("*fp32",))
    assert not flow.writes
