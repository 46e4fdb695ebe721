"""The machine computes what PyTorch computes: arithmetic, control flow that parts programs, memory, products."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import triton
from packaging.version import Version

from tritonrl_core.bench.machine.frame import NotCarriedOutError
from tritonrl_core.bench.machine.memory import OutOfBoundsError, Segment, Traffic
from tritonrl_core.bench.machine.operations import KernelStopError

X = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
ROWS = torch.arange(8)[:, None]
LOAD = "v = tl.load(x + at)\n"
STORE = "\ntl.store(y + at, v)"


def close(got, expected, tolerance=1e-5):
    torch.testing.assert_close(got, expected.to(got.dtype), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("v = v * f + 1", X * 2.5 + 1),
        ("v = tl.exp(v) / (1 + tl.exp(v))", torch.sigmoid(X)),
        ("v = tl.sqrt(tl.abs(v)) + tl.rsqrt(v * v + 1)", X.abs().sqrt() + (X * X + 1).rsqrt()),
        ("v = tl.math.erf(v) + tl.sin(v) * tl.cos(v)", torch.erf(X) + X.sin() * X.cos()),
        ("v = tl.floor(v) + tl.ceil(v)", X.floor() + X.ceil()),
        ("v = tl.where(v > 0, v, f * v)", torch.where(X > 0, X, 2.5 * X)),
        ("v = tl.clamp(v, -0.5, 0.5) + tl.maximum(v, 0.0)", X.clamp(-0.5, 0.5) + X.clamp(min=0)),
        ("v = v.to(tl.float16).to(tl.float32)", X.half().float()),
        ("v = v.to(tl.bfloat16).to(tl.float32)", X.bfloat16().float()),
        ("v = v.to(tl.float8e4nv).to(tl.float32)", X.to(torch.float8_e4m3fn).float()),
        ("v = v.to(tl.float8e5).to(tl.float32)", X.to(torch.float8_e5m2).float()),
        ("b = v.to(tl.bfloat16)\nv = (b * b + b).to(tl.float32)", (X.bfloat16() * X.bfloat16() + X.bfloat16()).float()),
        ("v = (v * 10).to(tl.int32).to(tl.float32)", (X * 10).int().float()),
        ("i = (v * 10).to(tl.int32)\nv = (i // 3 + i % 3).to(tl.float32)",
         (torch.div((X * 10).int(), 3, rounding_mode="trunc") + torch.fmod((X * 10).int(), 3)).float()),
        ("i = (v * 100).to(tl.int32)\nv = ((i << 2) ^ (i >> 1) | 5).to(tl.float32)",
         (((X * 100).int() << 2) ^ ((X * 100).int() >> 1) | 5).float()),
        ("u = k.to(tl.uint32) - 3\nv = (u // 7).to(tl.float32)",
         ((torch.arange(16) - 3) % 2**32 // 7).float().expand(8, 16)),
        ("v = libdevice.tanh(v) + libdevice.pow(tl.abs(v), 1.5)", X.tanh() + X.abs() ** 1.5),
        ("v = tl.fma(v, v, v)", X * X + X),
        ("v = v + tl.sum(v, axis=0) - tl.max(v, axis=0)", X + X.sum(1, True) - X.amax(1, True)),
        ("v = v * 0 + tl.argmax(v, axis=0) + 100 * tl.argmin(v, axis=0)",
         (X.argmax(1, True) + 100 * X.argmin(1, True)).float().expand(8, 16)),
        ("v = tl.cumsum(v, axis=0)", X.cumsum(1)),
        ("v = tl.cumsum(v, axis=0, reverse=True)", X.flip(1).cumsum(1).flip(1)),
        ("v = tl.cumprod(v, axis=0)", X.cumprod(1)),
        ("v = tl.sort(v)", X.sort(1).values),
        ("v = tl.flip(v, 0)", X.flip(1)),
        ("v = tl.gather(v, (k + 3) % 16, 0)", X.roll(-3, 1)),
        ("v = tl.reshape(tl.trans(tl.reshape(v, (4, 4))), (16,))", X.view(8, 4, 4).transpose(1, 2).reshape(8, 16)),
        ("a, b = tl.split(tl.reshape(v, (8, 2)))\nv = tl.reshape(tl.join(b, a), (16,))",
         X.view(8, 8, 2).flip(2).reshape(8, 16)),
        ("v = v * 0 + tl.histogram(((tl.abs(v) * 4).to(tl.int32)) % 16, 16).to(tl.float32)",
         torch.stack([torch.bincount(row, minlength=16) for row in (X.abs() * 4).int() % 16]).float()),
        ("v = tl.sum(tl.reshape(v, (4, 4)), axis=1)[:, None] + tl.zeros((4, 4), tl.float32)\nv = tl.reshape(v, (16,))",
         X.view(8, 4, 4).sum(2, True).expand(8, 4, 4).reshape(8, 16)),
    ],
)  # fmt: skip
def test_arithmetic(carried, line, expected):
    close(carried(LOAD + line + STORE, X), expected)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("for i in range(0, 3):\n    v += i", X + 3),
        ("for i in range(0, row):\n    v += i + 1", X + ROWS * (ROWS + 1) / 2),
        ("for i in range(row, 5):\n    for j in range(0, i):\n        v += j",
         X + torch.tensor([sum(j for i in range(r, 5) for j in range(i)) for r in range(8)])[:, None]),
        ("if row % 2 == 0:\n    v = v * 2\nelse:\n    v = v + 1", torch.where(ROWS % 2 == 0, X * 2, X + 1)),
        ("if row > 100:\n    v = v * 2", X),
        ("if n == 8:\n    v = v * 2\nelse:\n    v = v * 3", X * 2),
        ("i = 0\nwhile i < row:\n    v += f\n    i += 2", X + 2.5 * ((ROWS + 1) // 2)),
        ("i = 0\nwhile tl.sum(v, axis=0) < 10:\n    v += 1\n    i += 1",
         X + torch.tensor([next(i for i in range(99) if (row + i).sum() >= 10) for row in X])[:, None]),
        ("for i in range(0, 4):\n    if row > i:\n        v += i",
         X + torch.tensor([sum(i for i in range(4) if i < r) for r in range(8)])[:, None]),
        ("if row > 3:\n    tl.store(y + at, v * 0)\n    return", torch.where(ROWS > 3, X * 0, X)),
        ("v = helper(v, row)", torch.where(ROWS > 5, X, X * 2)),
        ("v = v + scalar(row, n)", X + torch.where(ROWS > 5, ROWS, ROWS + 8)),
        ("s = 0.0\nfor i in tl.static_range(3):\n    s += i\nv += s", X + 3),
        ("for i in tl.range(0, 6, 2, num_stages=2):\n    v += i", X + 6),
    ],
)  # fmt: skip
def test_control_flow_that_parts_programs(carried, lines, expected):
    helpers = """
@triton.jit
def helper(v, row):
    if row > 5:
        return v
    return v * 2

@triton.jit(noinline=True)
def scalar(row, n):
    if row > 5:
        return row
    return row + n
"""
    close(carried(LOAD + lines + STORE, X, helpers=helpers), expected)
    close(carried(LOAD + lines + STORE, X, helpers=helpers, backwards=True), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int8", "float8_e5m2"])
def test_products(carried, dtype):
    a = (torch.randn(4, 1024) * 3).to(getattr(torch, dtype))
    precision = ", input_precision='ieee'" if dtype == "float32" else ""
    body = f"""
i = tl.arange(0, 32)
m = tl.load(x + row * 1024 + i[:, None] * 32 + i[None, :])
p = tl.dot(m, tl.trans(m){precision})
tl.store(y + row * 1024 + i[:, None] * 32 + i[None, :], p)"""
    out = "int32" if dtype == "int8" else "float64" if dtype == "float64" else "float32"
    got = carried(body, a, dtype=out, block=1024)
    wide = a.to(torch.int32 if dtype == "int8" else torch.float64).view(4, 32, 32)
    exact = (wide @ wide.transpose(1, 2)).reshape(4, 1024)
    # A sum of 32 products, in whatever order, is off by at most 32 roundings of the sum of their magnitudes.
    magnitude = (wide.abs() @ wide.abs().transpose(1, 2)).reshape(4, 1024)
    eps = {"int8": 0.0, "float64": torch.finfo(torch.float64).eps}.get(dtype, torch.finfo(torch.float32).eps)
    assert ((got - exact).abs() <= 32 * eps * magnitude).all()
    kind = {"float32": "fp32", "float64": "fp64", "float16": "fp16", "bfloat16": "fp16", "float8_e5m2": "fp8"}
    assert dtype not in kind or carried.traffic.flops == {kind[dtype]: 4 * 2 * 32**3}


@pytest.mark.parametrize(
    ("precision", "least", "most", "flops"),
    [
        ("tf32", 1e-5, 2e-3, {"tf32": 1}),
        ("tf32x3", 0, 1e-6, {"tf32": 3}),
        ("bf16x3", 1e-6, 1e-4, {"fp16": 3}),  # float32 has 3e-7 here
        ("bf16x6", 0, 1e-6, {"fp16": 6}),
    ],
)
def test_products_of_parts_have_their_digits_and_cost_each_part(carried, precision, least, most, flops):
    a = torch.randn(1, 1024)
    body = f"""
i = tl.arange(0, 32)
m = tl.load(x + i[:, None] * 32 + i[None, :])
tl.store(y + i[:, None] * 32 + i[None, :], tl.dot(m, tl.trans(m), input_precision='{precision}'))"""
    exact = (a.view(32, 32).double() @ a.view(32, 32).double().T).view(1, 1024)
    error = ((carried(body, a, block=1024) - exact).abs() / exact.abs().max()).max()
    assert least <= error < most
    assert carried.traffic.flops == {name: passes * 2 * 32**3 for name, passes in flops.items()}


@pytest.mark.parametrize("operation", ["add", "max", "min", "xchg"])
def test_atomics(carried, operation):
    body = f"""
if tl.program_id(0) == 0:
    tl.store(y + k, v * 0 - 1000)
    for row in range(8):
        tl.atomic_{operation}(y + k, tl.load(x + row * 16 + k))"""
    got = carried(LOAD + body, X)
    rows = {"add": X.sum(0) - 1000, "max": X.amax(0), "min": torch.full((16,), -1000.0), "xchg": X[-1]}
    close(got[0], rows[operation])


def test_programs_do_not_go_in_step_where_they_read_what_others_write(carried):
    mirrored = "tl.store(y + at, v)\ntl.debug_barrier()\ntl.store(y + at, tl.load(y + 7 * 16 - (at - k) + k))"
    got = carried(LOAD + mirrored, X)
    assert not bool(torch.equal(got, X.flip(0)))


def test_an_atomic_gives_what_was_there_before(carried):
    counts = torch.zeros(8, 16, dtype=torch.int32)
    got = carried("tl.store(y + at, tl.atomic_add(x + k * 0, 1))", counts, dtype="int32")
    assert got.flatten().sort().values.tolist() == list(range(128))


def test_a_lock_is_taken_by_one_program_after_the_other(carried):
    counts = torch.zeros(8, 16, dtype=torch.int32)
    body = """
while tl.atomic_cas(x, 0, 1) == 1:
    pass
before = tl.load(x + 1)
tl.store(x + 1, before + 1)
tl.atomic_xchg(x, 0)
tl.store(y + at, before + k * 0)"""
    assert carried(body, counts, dtype="int32")[:, 0].tolist() == list(range(8))


def test_descriptors_stop_at_the_edges(carried):
    body = """
d = tl.make_tensor_descriptor(x, (n, 16), (16, 1), (4, 16))
v = tl.sum(d.load([row, 0]), axis=0)""" + STORE
    close(carried(body, X), torch.stack([X[row : row + 4].sum(0) for row in range(8)]))


@pytest.mark.skipif(Version(triton.__version__) >= Version("3.9"), reason="Triton has removed block pointers")
def test_block_pointers_stop_at_the_edges(carried):
    body = """
p = tl.make_block_ptr(x, (n, 16), (16, 1), (0, 0), (4, 16), (1, 0))
p = tl.advance(p, (row, 0))
w = tl.load(p, boundary_check=(0,), padding_option='zero')
v = tl.sum(w, axis=0)""" + STORE
    close(carried(body, X), torch.stack([X[row : row + 4].sum(0) for row in range(8)]))


def test_masked_lanes_and_other_values(carried):
    close(carried("v = tl.load(x + at, mask=k < 10, other=7.0)" + STORE, X), torch.where(torch.arange(16) < 10, X, 7.0))
    got = carried("tl.store(y + at, tl.load(x + at), mask=k < row)", X)
    assert torch.equal(got.isnan(), torch.arange(16) >= ROWS)


def test_a_store_outside_stops_and_a_load_outside_is_poison(carried):
    with pytest.raises(OutOfBoundsError, match="in 16 lanes, 1984 bytes after the end of a buffer of 512"):
        carried(LOAD + "tl.store(y + at + (row == 7) * 512, v)", X)
    got = carried("v = tl.load(x + at + (row == 7) * 512)" + STORE, X)
    assert bool(got[7].isnan().all())
    assert carried.traffic.stray_reads == 16
    with pytest.raises(OutOfBoundsError, match="not aligned"):
        carried("v = tl.load((x.to(tl.int64) + 2).to(tl.pointer_type(tl.float32)) + at)" + STORE, X)


def test_traffic_counts_lanes_and_distinct_sectors(carried):
    carried("v = tl.load(x + k, mask=k < 8, other=0.0)" + STORE, X)
    traffic = carried.traffic
    assert (traffic.read, traffic.written) == (8 * 8 * 4, 8 * 16 * 4)
    assert (traffic.unique(False), traffic.unique(True)) == (32, 512)


def test_what_the_estimate_needs_is_counted(carried):
    carried(LOAD + STORE, X)
    straight = carried.traffic
    assert straight.sectors == 8 * (2 + 2)  # 16 floats in, 16 out, for each of 8 programs
    assert (straight.rounds, straight.fresh) == (8, 2 * 512)
    carried("v = tl.load(x + (row * 16 + k * 7) % 128)" + STORE, X)
    assert carried.traffic.sectors > 8 * (8 + 2)  # neighbouring lanes read far from one another
    carried("v = tl.load(x + at) * 0.0\nfor i in range(n):\n    v += tl.load(x + i * 16 + k)" + STORE, X)
    assert carried.traffic.rounds == 8 * (1 + 8)  # once before the loop, and once in each of its turns
    assert carried.traffic.elements > straight.elements
    body = "tile = tl.arange(0, B)[None, :] * 8 + tl.arange(0, 8)[:, None]\nv = tl.sum(tl.load(x + tile), axis=0)"
    carried(body + STORE, X)
    assert carried.traffic.sectors == 8 * (16 + 2)  # the tile's other axis is the one along memory


def test_what_an_earlier_launch_has_moved_is_not_fresh():
    segment = Segment(1 << 20, np.zeros(256, np.uint8))
    first, second = Traffic(), Traffic()
    first.touch(0, segment, np.arange(8), 4, write=False)
    first.settle([segment])
    second.touch(0, segment, np.arange(16), 4, write=True)
    second.settle([segment])
    assert (first.fresh, second.fresh) == (32, 32)


def test_what_holds_and_what_does_not(carried):
    carried("tl.assume(n < 100)\n" + LOAD + STORE, X)
    with pytest.raises(KernelStopError, match="an assumption of the kernel does not hold"):
        carried("tl.assume(row < 7)\n" + LOAD + STORE, X)
    with pytest.raises(NotCarriedOutError, match="inline assembly"):
        carried(LOAD + "v = tl.inline_asm_elementwise('mov.b32 $0, $1;', '=r,r', [v], tl.float32, True, 1)" + STORE, X)


def test_random_numbers_are_tritons(carried):
    got = carried("v = tl.rand(7, at)" + STORE, X)
    assert 0 <= got.min() < 0.1 < 0.9 < got.max() < 1
    assert got.unique().numel() == 128
    drawn = carried("v = tl.randn(7, at)" + STORE, torch.zeros(64, 16))
    assert abs(drawn.mean()) < 0.15
    assert abs(drawn.std() - 1) < 0.1


def test_numbers_that_are_no_array(carried):
    body = "if row == 0:\n    s = 0.0\n    for i in range(n * 16):\n        s += tl.load(x + i)\n    tl.store(y, s)"
    got = carried(body, X)
    close(got[0, 0], X.sum(), 1e-4)


def test_softmax_in_two_passes(carried):
    body = """
m = -float('inf')
s = 0.0
for i in range(0, 16, 4):
    v = tl.load(x + row * 16 + i + tl.arange(0, 4))
    new = tl.maximum(m, tl.max(v, axis=0))
    s = s * tl.exp(m - new) + tl.sum(tl.exp(v - new), axis=0)
    m = new
v = tl.exp(tl.load(x + at) - m) / s""" + STORE
    close(carried(body, X), F.softmax(X, 1))
