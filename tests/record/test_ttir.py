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


@triton.jit
def counted_by_data(x, o, B: tl.constexpr):
    k = 0
    while tl.load(x + k) > 0:
        k += 1
    tl.store(o, k)


@triton.jit
def begins_by_data(n, o, B: tl.constexpr):
    for i in range(tl.load(n), 7):
        tl.store(o + i, 1.0)


@triton.jit
def turns_by_data(x, o, B: tl.constexpr):
    total = 0.0
    for _ in range(tl.load(x)):
        total += 2.0
        tl.atomic_add(o, 1.0)
    tl.store(o, total)


@triton.jit
def returns_by_data(x, y, o, B: tl.constexpr):
    tl.store(y, 1.0)
    if tl.load(x) > 0:
        tl.store(o, 1.0)
        return
    tl.store(o, 0.0)
    tl.store(y, 0.0)


@triton.jit(noinline=True)
def put(o, value):
    tl.store(o, value)


@triton.jit
def calls_by_data(x, o, B: tl.constexpr):
    if tl.load(x) > 0:
        put(o, 1.0)


@triton.jit
def cut_off(x, o, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o + i, tl.load(x + i).to(tl.int32).to(tl.float32))


P, N, C = "*fp32", "i32", "constexpr"
D = "tensordesc<fp32[16, 16]>"
CASES = {
    softmax: ({"x": P, "o": P, "n": N}, {"x"}, {"o": (set(), {"x"})}),
    product: ({"x": P, "y": P, "o": P, "n": N}, {"x", "y"}, {"o": (set(), {"x", "y"})}),
    conditional: ({"x": P, "y": P, "o": P, "n": N}, {"x", "y"}, {"o": ({"x"}, {"x", "y"})}),
    waiting: (
        {"x": P, "o": P, "lock": "*i32", "n": N},
        {"x", "o", "lock"},
        {"o": (set(), {"x"}), "lock": (set(), {"lock"})},
    ),
    counted_by_data: ({"x": P, "o": "*i32"}, {"x"}, {"o": (set(), {"x"})}),
    begins_by_data: ({"n": "*i32", "o": P}, {"n"}, {"o": (set(), {"n"})}),
    turns_by_data: ({"x": "*i32", "o": P}, {"x", "o"}, {"o": (set(), {"x"})}),
    returns_by_data: ({"x": P, "y": P, "o": P}, {"x"}, {"o": (set(), {"x"}), "y": (set(), {"x"})}),
    calls_by_data: ({"x": P, "o": P}, {"x"}, {"o": (set(), {"x"})}),
    cut_off: ({"x": P, "o": P}, {"x"}, {"o": (set(), {"x"})}),
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
    assert (flow.unclear, flow.stray) == ("", "")
    assert {names[number] for number in flow.reads} == reads
    found = {names[n]: ({names[i] for i in w.copied}, {names[i] for i in w.computed}) for n, w in flow.writes.items()}
    assert found == writes


NOTHING_KNOWN = {number: Written(frozenset(), frozenset({0, 1})) for number in (0, 1)}
"""Of a kernel with two pointers: it may touch both."""


def test_nothing_is_said_of_a_text_without_the_kernel():
    flow = kernel_flow("this is no TTIR", "k", ("*fp32", "*fp32", "i32"))
    assert "not defined in its text" in flow.unclear
    assert (flow.reads, flow.writes) == ({0, 1}, NOTHING_KNOWN)


@pytest.mark.parametrize(
    ("fn", "before", "after", "why"),
    [
        (cast, "tt.return", "tt.novel_store %arg1, %arg0 : !tt.ptr<f32>\n    tt.return", "uses tt.novel_store"),
        (cast, "tt.load", "tt.novel_load", "uses tt.novel_load"),
        (counted_by_data, "scf.while", "scf.novel", "scf.novel with a region"),
        (returns_by_data, "cf.cond_br %", "cf.switch %", "uses cf.switch"),
        (cast, "tt.return", "novel %arg0\n    tt.return", "an operation 'novel %arg0'"),
        (cast, "tt.return", "tt.store %arg1, %cst_9 : !tt.ptr<f32>\n    tt.return", "%cst_9 is used and not defined"),
        (cast, "    tt.return\n  }\n}\n", "", "ends inside a function"),
        (calls_by_data, "noinline = true} {", "noinline = true} {\n    tt.novel", "uses tt.novel"),
        (calls_by_data, "= true} {", "= true} {\n    tt.store %arg0, %99 : f32", "%99 is used and not defined"),
        (calls_by_data, "(%arg1) : ", "(%arg1, %arg1) : ", "does not define as it is called"),
        (calls_by_data, "tt.call @", "tt.call %arg0, @", "a call 'tt.call %arg0"),
    ],
)
def test_what_is_not_known_is_named_and_nothing_is_said_of_the_kernel(fn, before, after, why):
    types = [*CASES[fn][0].values()]
    kernel, _ = flow_of(fn, CASES[fn][0])
    assert before in kernel.ttir
    flow = kernel_flow(kernel.ttir.replace(before, after), kernel.name, tuple(types))
    assert why in flow.unclear
    pointers = set(range(len(types)))
    assert (flow.reads, set(flow.writes)) == (pointers, pointers)


def test_a_name_in_quotation_marks_is_a_name():
    """Triton 3.6 writes those of functions so that are called with constants."""
    kernel, known = flow_of(calls_by_data, CASES[calls_by_data][0])
    name = next(line.partition("@")[2].partition("(%")[0] for line in kernel.ttir.splitlines() if "tt.call" in line)
    text = kernel.ttir.replace(f"@{name}(", '@"m.put__(1,){c%x}o"(')
    assert text != kernel.ttir
    assert kernel_flow(text, kernel.name, ("*fp32", "*fp32")) == known


def test_an_operation_that_nobody_knows_does_not_matter_where_nobody_comes():
    kernel, known = flow_of(cast, CASES[cast][0])
    aside = "  tt.func private @aside() attributes {noinline = true} {\n    tt.novel\n    tt.return\n  }\n"
    text = kernel.ttir.rstrip().removesuffix("}") + aside + "}\n"
    assert kernel_flow(text, kernel.name, ("*fp32", "*fp32")) == known


SPIRAL = """module {
  tt.func public @k(%p: !tt.ptr<f32>, %q: !tt.ptr<f32>) {
    tt.call @a(%p, %q) : (!tt.ptr<f32>, !tt.ptr<f32>) -> ()
    tt.return
  }
  tt.func private @a(%p: !tt.ptr<f32>, %q: !tt.ptr<f32>) {
    tt.call @b(%p, %q) : (!tt.ptr<f32>, !tt.ptr<f32>) -> ()
    tt.return
  }
  tt.func private @b(%p: !tt.ptr<f32>, %q: !tt.ptr<f32>) {
    %0 = tt.load %p : !tt.ptr<f32>
    tt.store %q, %0 : !tt.ptr<f32>
    tt.call @NEXT(%p, %q) : (!tt.ptr<f32>, !tt.ptr<f32>) -> ()
    tt.return
  }
}
"""


@pytest.mark.parametrize("where", ["k", "a", "b"])
def test_a_function_that_calls_itself_is_not_followed(where):
    flow = kernel_flow(SPIRAL.replace("NEXT", where), "k", ("*fp32", "*fp32"))
    assert flow.unclear == f"calls {where}, which calls itself"
    assert flow.writes == NOTHING_KNOWN


def test_calls_within_calls_are_not_followed_without_end():
    call = "    tt.call @f{0}(%p) : (!tt.ptr<f32>) -> ()\n"
    frame = "  tt.func private @f{0}(%p: !tt.ptr<f32>) {{\n{1}    tt.return\n  }}\n"
    body = "".join(frame.format(n, call.format(n + 1)) for n in range(3000)) + frame.format(3000, "")
    assert "too deep to follow" in kernel_flow("module {\n" + body + "}\n", "f0", ("*fp32",)).unclear


def test_an_address_that_is_made_up_is_as_stray_in_a_function_that_is_called():
    kernel, known = flow_of(calls_by_data, CASES[calls_by_data][0])
    text = kernel.ttir.replace("(%arg1) : (!tt.ptr<f32>)", "(%made) : (!tt.ptr<f32>)")
    address = "%big = arith.constant 4096 : i64\n    %made = tt.int_to_ptr %big : i64 -> !tt.ptr<f32>\n    "
    text = text.replace("scf.if", f"{address}scf.if")
    assert known.stray == ""
    assert "reaches memory by an address" in kernel_flow(text, kernel.name, ("*fp32", "*fp32")).stray


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
    assert not flow.unclear
