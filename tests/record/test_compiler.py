"""Compiling TTIR apart from the candidate: binaries with facts, failures with short reasons, each kernel once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tritonrl_core.bench.compile.binaries import Binaries
from tritonrl_core.bench.compile.request import BuildFailure, CompiledKernel, binary_key, built_bytes, read_built
from tritonrl_core.bench.plan.schema import Kernel, LaunchPlan
from tritonrl_core.bench.record.request import TensorSpec
from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.types import Limits

X = TensorSpec((64, 128), (128, 1), 0, "float32", 32_768)
SOFTMAX = """
@triton.jit
def softmax(x_ptr, o_ptr, n, B: tl.constexpr):
    row = tl.program_id(0)
    i = tl.arange(0, B)
    x = tl.load(x_ptr + row * n + i, mask=i < n, other=-float("inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(o_ptr + row * n + i, e / tl.sum(e, axis=0), mask=i < n)
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        softmax[(x.shape[0],)](x, out, x.shape[1], B=128)
        return out
"""


@pytest.fixture(scope="module")
def binaries() -> Iterator[Binaries]:
    built = Binaries(gpu_for("sm_90"), 1, Limits(wall_s=120, cpu_s=120))
    yield built
    built.close()


@pytest.fixture(scope="module")
def softmax(recorded) -> Kernel:
    plan = recorded(SOFTMAX, X)
    assert isinstance(plan, LaunchPlan), plan
    return plan.kernels[0]


def compiled(answer: object) -> CompiledKernel:
    assert isinstance(answer, CompiledKernel), answer
    return answer


def test_a_kernel_compiles_to_a_cubin_with_facts(binaries, softmax):
    built = compiled(binaries.build([softmax], "3.7")[0])
    assert built.binary.startswith(b"\x7fELF")
    assert (built.name, built.num_warps) == ("softmax", 4)
    assert built.registers > 8
    assert built.spill_bytes == 0
    assert 0 < built.shared < 1024


@pytest.mark.parametrize(("told", "text"), [("tt.return", "tt.return tt.return"), ("module {", "// x\nmodule {")])
def test_a_text_that_triton_would_print_otherwise_is_refused(binaries, softmax, told, text):
    built = binaries.build([replace(softmax, ttir=softmax.ttir.replace(told, text))], "3.7")[0]
    assert isinstance(built, BuildFailure)


def test_the_same_kernel_compiles_once(binaries, softmax):
    before = len(binaries._known)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: binaries.build([replace(softmax, line=1), softmax], "3.7"), range(4)))
    assert len(binaries._known) == before
    assert all(answer[0] is answers[0][0] and answer[1] is answers[0][0] for answer in answers)


def test_options_are_part_of_the_key(softmax):
    gpu = gpu_for("sm_90")
    more_warps = replace(softmax, options={**softmax.options, "num_warps": 8})
    keys = {binary_key(softmax, gpu, "3.7"), binary_key(more_warps, gpu, "3.7"), binary_key(softmax, gpu, "3.9"),
            binary_key(softmax, gpu_for("sm_80"), "3.7")}  # fmt: skip
    assert len(keys) == 4


def test_options_reach_the_compiler(binaries, softmax):
    more_warps = replace(softmax, options={**softmax.options, "num_warps": 8})
    assert compiled(binaries.build([more_warps], "3.7")[0]).num_warps == 8


def test_text_that_is_no_ttir_is_a_failure_in_few_words(binaries, softmax):
    broken = replace(softmax, ttir=softmax.ttir.replace("tt.load", "tt.lod"))
    (lowered,) = binaries.build([broken], "3.7", whole=False)
    assert isinstance(lowered, BuildFailure)
    answers = binaries.build([broken, softmax], "3.7")
    assert isinstance(answers[0], BuildFailure)
    assert "tt.lod" in answers[0].reason
    assert len(answers[0].reason) < 400
    assert "/tmp" not in answers[0].reason
    assert lowered == answers[0]
    compiled(answers[1])


def test_too_much_shared_memory_is_a_failure(recorded, binaries):
    code = """
@triton.jit
def product(a, b, o, B: tl.constexpr, K: tl.constexpr):
    i = tl.arange(0, B)
    acc = tl.zeros((B, B), tl.float32)
    for k in range(0, 16):
        j = tl.arange(0, K) + k * K
        acc += tl.dot(tl.load(a + i[:, None] * 2048 + j[None, :]), tl.load(b + j[:, None] * 2048 + i[None, :]))
    tl.store(o + i[:, None] * B + i[None, :], acc)
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        product[(1,)](x, x, out, B=128, K=128, num_stages=4, num_warps=8)
        return out
"""
    plan = recorded(code, X)
    for whole in (False, True):
        (answer,) = binaries.build(plan.kernels, "3.7", whole=whole)
        assert isinstance(answer, BuildFailure)
        assert "shared memory" in answer.reason
        assert "num_stages" in answer.reason


def test_another_vendors_target_compiles_too(softmax):
    binaries = Binaries(gpu_for("gfx942"), 1, Limits(wall_s=120, cpu_s=120))
    try:
        lowered = compiled(binaries.build([softmax], "3.7", whole=False)[0])
        built = compiled(binaries.build([softmax], "3.7")[0])
    finally:
        binaries.close()
    assert built.binary.startswith(b"\x7fELF")
    assert built.name == lowered.name == "softmax"
    assert lowered.shared == built.shared


def test_without_a_binary_the_same_is_known_but_for_registers(binaries, softmax):
    other = replace(softmax, options={**softmax.options, "num_warps": 2})
    lowered = compiled(binaries.build([other], "3.7", whole=False)[0])
    whole = compiled(binaries.build([other], "3.7")[0])
    assert (lowered.binary, lowered.registers, lowered.spill_bytes) == (b"", -1, -1)
    assert whole.binary
    assert whole.shared > 0
    known = {"binary": b"", "registers": -1, "spill_bytes": -1, "seconds": 0.0}
    assert replace(whole, **known) == replace(lowered, **known)


def test_a_binary_that_is_there_answers_less_than_a_binary(binaries, softmax):
    whole = binaries.build([softmax], "3.7")[0]
    assert binaries.build([softmax], "3.7", whole=False)[0] is whole


def test_the_workers_answer_is_checked():
    good = CompiledKernel("k", b"\x7fELF", 0, 4)
    assert read_built(built_bytes([good, BuildFailure("no")]), 2) == [good, BuildFailure("no")]
    assert read_built(built_bytes([good]), 2) is None
    assert read_built(built_bytes([replace(good, num_warps=1000)]), 1) is None
    for junk in (b"", b"[1]", b"{}", b'[{"failure": 1, "x": 2}]', b"[" * 10_000):
        assert read_built(junk, 1) is None
