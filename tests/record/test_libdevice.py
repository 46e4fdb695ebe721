"""Functions of libdevice: linked from an excerpt, the code is the same as from the whole library."""

from collections.abc import Iterator

import pytest
from triton.compiler.compiler import make_backend

from tritonrl_core.bench.compile import compiler, libdevice
from tritonrl_core.bench.compile.request import CompiledKernel
from tritonrl_core.bench.compile.triton_internals import gpu_target
from tritonrl_core.bench.record.request import TensorSpec
from tritonrl_core.bench.targets import gpu_for

X = TensorSpec((64, 128), (128, 1), 0, "float32", 32_768)
KERNEL = """
from triton.language.extra import libdevice
@triton.jit
def apply(x_ptr, o_ptr, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    x = tl.load(x_ptr + i)
    tl.store(o_ptr + i, EXPRESSION)
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        apply[(x.numel() // 128,)](x, out, B=128)
        return out
"""


@pytest.fixture(scope="module")
def excerpt() -> Iterator[list[tuple[str, str]]]:
    backend = make_backend(gpu_target(gpu_for("sm_90")))
    libdevice.load(backend, dict(backend.parse_options({}).extern_libs)["libdevice"])
    yield list(libdevice._PARTS)
    libdevice._PARTS.clear()


def test_the_usual_functions_are_in_the_excerpt(excerpt):
    assert {f"__nv_{name}f" for name in libdevice.FLOAT_FUNCTIONS} <= {name for name, _ in excerpt}


@pytest.mark.parametrize(
    "expression",
    [
        "tl.rsqrt(tl.erf(x)) + tl.log(x)",
        "tl.sqrt_rn(tl.floor(x)) * libdevice.tanh(x) + libdevice.sin(x)",
        "libdevice.cos(x) + libdevice.acos(x)",  # the second is in the whole library alone
        "x + 1",
    ],
)
def test_a_kernel_linked_with_the_excerpt_is_the_same_to_the_bit(recorded, excerpt, expression):
    kernel = recorded(KERNEL.replace("EXPRESSION", expression), X).kernels[0]
    libdevice._PARTS[:] = excerpt
    ours = compiler.compile_kernel(kernel.ttir, kernel.options, gpu_for("sm_90"))
    libdevice._PARTS.clear()
    tritons = compiler.compile_kernel(kernel.ttir, kernel.options, gpu_for("sm_90"))
    assert isinstance(ours, CompiledKernel), ours
    assert isinstance(tritons, CompiledKernel), tritons
    assert ours.binary == tritons.binary
