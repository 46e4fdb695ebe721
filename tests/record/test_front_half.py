"""The front half of compilation gives what Triton's own would, although it is not told to do all that Triton's does."""

import pytest
import triton
import triton.language as tl
from triton._C.libtriton import ir
from triton.compiler import ASTSource
from triton.compiler.compiler import make_backend

from tritonrl_core.bench.compile.triton_internals import front_half, gpu_target
from tritonrl_core.bench.targets import gpu_for

TARGET = gpu_target(gpu_for("sm_90"))


@triton.jit
def products(a_ptr, b_ptr, o_ptr, rows, cols, stride, BM: tl.constexpr, BK: tl.constexpr):
    rm = tl.program_id(0) * BM + tl.arange(0, BM)
    rk = tl.arange(0, BK)
    total = tl.zeros((BM, BM), dtype=tl.float32)
    for k in range(tl.cdiv(cols, BK)):
        mask = (rm[:, None] < rows) & (rk[None, :] < cols - k * BK)
        a = tl.load(a_ptr + rm[:, None] * stride + (k * BK + rk)[None, :], mask=mask, other=0.0)
        b = tl.load(b_ptr + rm[:, None] * stride + (k * BK + rk)[None, :], mask=mask, other=0.0)
        total += tl.dot(a, b.trans())
    tl.store(o_ptr + rm[:, None] * rows + rm[None, :], total, mask=(rm[:, None] < rows) & (rm[None, :] < rows))


@triton.jit
def counts(x_ptr, o_ptr, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    x = tl.load(x_ptr + i, mask=i < n, other=0)
    tl.store(o_ptr + i, (x * n - i).to(tl.int8) + n // 3 % 7, mask=i < n)


MATRICES = {"a_ptr": "*fp32", "b_ptr": "*fp32", "o_ptr": "*fp32", "rows": "i32", "cols": "i32", "stride": "i32"}
SOURCES = {
    "products": lambda: ASTSource(products, {**MATRICES, "BM": "constexpr", "BK": "constexpr"}, {"BM": 16, "BK": 32}),
    "counts": lambda: ASTSource(counts, {"x_ptr": "*i32", "o_ptr": "*i32", "n": "i32", "B": "constexpr"}, {"B": 64}),
}


def by_triton(source: ASTSource, **options: bool) -> str:
    """The TTIR that Triton's own pipeline leaves."""
    backend = make_backend(TARGET)
    chosen = backend.parse_options(options)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    functions = backend.get_codegen_implementation(chosen)
    module = source.make_ir(TARGET, chosen, functions, backend.get_module_map(), context)
    stages = {}
    backend.add_stages(stages, chosen, source.language)
    return stages["ttir"](module, {}).str_nodebug()


@pytest.mark.parametrize("options", [{}, {"debug": True}, {"sanitize_overflow": False}], ids=str)
@pytest.mark.parametrize("name", SOURCES)
def test_the_text_is_the_one_that_triton_makes(name, options):
    kernel = front_half(SOURCES[name](), TARGET, options)
    assert kernel.ttir == by_triton(SOURCES[name](), **options)
    assert ("overflow detected" in kernel.ttir) is ("debug" in options)
    assert kernel.options["sanitize_overflow"] is options.get("sanitize_overflow", True)
