"""The funnel's rules on the source: what they object to, and what they leave alone because it is not certain."""

import pytest
from tritonrl_plugin_funnel.rules import source_objection
from tritonrl_plugin_funnel.unrecordable import CALLS, IMPORTS, reason_for

from tritonrl_core.types import Objection, Stage, Status, Task

REFERENCE = """\
class Model:
    def __init__(self, features):
        pass
    def forward(self, x, y):
        return x + y

def get_inputs():
    return [torch.randn(3), torch.randn(3)]

def get_init_inputs():
    return [16]
"""
TASK = Task("t", 1, REFERENCE)

GOOD = """\
import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    total = tl.load(x_ptr + at, mask=mask) + tl.load(y_ptr + at, mask=mask)
    tl.store(out_ptr + at, total, mask=mask)


class ModelNew(torch.nn.Module):
    def __init__(self, features):
        super().__init__()

    def forward(self, x, y):
        out = torch.empty_like(x)
        add_kernel[(triton.cdiv(x.numel(), 128),)](x, y, out, x.numel(), BLOCK=128)
        return out
"""


def objection(*changes: tuple[str, str], task: Task = TASK) -> Objection | None:
    code = GOOD
    for old, new in changes:
        assert old in code
        code = code.replace(old, new, 1)
    return source_objection(task, code)


def test_a_right_kernel_is_left_alone() -> None:
    assert objection() is None


@pytest.mark.parametrize(
    ("old", "new", "status", "words"),
    [
        ("import torch\n", "import torch\nimport cupy\n", Status.REJECTED, "line 2: import cupy: kernels in"),
        ("import torch\n", "import torch\nfrom flash_attn.ops import f\n", Status.REJECTED, "import flash_attn.ops"),
        ("import torch\n", "import torch\nfrom torch.utils.cpp_extension import load_inline as li\nm = li('x')\n",
         Status.REJECTED, "torch.utils.cpp_extension.load_inline(): machine code"),
        ("        return out", "        import subprocess as s\n        s.run(['ls'])\n        return out",
         Status.UNSUPPORTED, "subprocess.run(): other processes"),
        ("        return out", "        return torch.compile(torch.relu)(out)",
         Status.REJECTED, "torch.compile(): a compiler"),
        ("import triton.language as tl\n", "",
         Status.BUILD_ERROR, "'tl' is used, and nothing defines or imports it; add `import triton.language as tl`"),
        ("        out = torch.empty_like(x)\n", "", Status.RUNTIME_ERROR, "the name 'out'"),
        ("at < n\n", "at < count\n", Status.BUILD_ERROR, "the name 'count'"),
        ("def __init__(self, features)", "def __init__(self)",
         Status.RUNTIME_ERROR, "ModelNew.__init__ takes 0 arguments, and the reference's Model gets 1"),
        ("tl.load(x_ptr + at, mask=mask)", "tl.tanh(x_ptr)", Status.BUILD_ERROR, "there is no triton.language.tanh"),
        ("    tl.store(", "    total = total ** 2\n    tl.store(", Status.BUILD_ERROR, "line 11: a tensor has no **"),
        ("    tl.store(", "    total += at\n    twice = (2 * total).to(tl.float32)\n    twice.tanh()\n    tl.store(",
         Status.BUILD_ERROR, "line 13: a tensor has no attribute 'tanh'"),
        ("torch.empty_like(x)", "torch.empty_alike(x)", Status.RUNTIME_ERROR, "there is no torch.empty_alike"),
        ("x.numel(), BLOCK=128", "x.numel()", Status.RUNTIME_ERROR, "the launch of add_kernel lacks BLOCK"),
        ("x.numel(), BLOCK=128", "1, 2, 3, 4", Status.RUNTIME_ERROR, "takes 5 arguments, and the launch gives 7"),
        ("x.numel(), BLOCK=128", "128, n=1, BLOCK=128", Status.RUNTIME_ERROR, "gives 'n' twice"),
        ("def forward(self, x, y)", "def forward(self, x, y, z)",
         Status.RUNTIME_ERROR, "ModelNew.forward takes 3 arguments, and the reference's Model gets 2"),
    ],
)  # fmt: skip
def test_a_certain_mistake_is_objected_to(old: str, new: str, status: Status, words: str) -> None:
    found = objection((old, new))
    assert found is not None
    assert (found.status, found.stage) == (status, Stage.AST)
    assert words in found.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import torch\n", "import torch\ntry:\n    import cupy\nexcept ImportError:\n    cupy = None\n"),
        ("import torch\n", "import torch\nif torch.version.hip:\n    import cupy\n"),
        ("import torch\n", "import torch\ndef unused():\n    import cupy\n"),
        ("import torch\n", "import torch\nimport subprocess\n"),
        ("        return out", "        if not x.is_cuda:\n            return missing(x)\n        return out"),
        ("        return out", "        if x.numel() == 0:\n            return x\n        return out + missing\n"),
        ("        return out", "        return out if x.numel() else missing"),
        ("        return out", "        check = lambda: missing\n        return out"),
        ("        return out", "        assert x.numel(), missing\n        return out"),
        ("        return out", "        for _ in range(0):\n            missing()\n        return out"),
        ("import torch\n", "from torch import *\nimport torch\nmissing_or_not\n"),
        ("import torch\n", "import torch\nexec('missing = 1')\nmissing\n"),
        ("import torch\n", "import torch\nsubprocess = torch\nsubprocess.empty(1)\n"),
        ("def __init__(self, features)", "def __init__(self, *sizes)"),
        ("def __init__(self, features)", "def __init__(self, features, eps=1e-5)"),
        ("def forward(self, x, y):", "def forward(self, *inputs):\n        x, y = inputs"),
        ("    def forward(self, x, y)", "    @torch.no_grad()\n    def forward(self, x, y, z)"),
        ("class ModelNew", "@missing_decorator if False else (lambda c: c)\nclass ModelNew"),
        ("    mask = at < n\n", "    if BLOCK > 4096:\n        at = missing\n    mask = at < n\n"),
        ("    mask = at < n\n", "    x: missing = at\n    mask = at < n\n"),
        ("import torch\n", "import torch\nmatch 1:\n    case found:\n        pass\nfound\n"),
        ("import torch\n", "import torch\nwith torch.no_grad() as guard:\n    late = 1\nguard, late\n"),
        ("x.numel(), BLOCK=128", "x.numel(), BLOCK=128, num_warps=4, waves_per_eu=2"),
        ("x.numel(), BLOCK=128", "*[x.numel()], BLOCK=128"),
        ("x.numel(), BLOCK=128", "x.numel(), **dict(BLOCK=128)"),
        ("n, BLOCK: tl.constexpr", "n, BLOCK: tl.constexpr, EXTRA: tl.constexpr = 1"),
        ("@triton.jit", "@triton.autotune([triton.Config({'BLOCK': 1})], key=[])\n@triton.jit"),
        ("import torch\n", "import torch, torch.utils.cpp_extension\ntorch.utils.cpp_extension\n"),
        ("import torch\n", "import torch\nif hasattr(torch, 'nothing_new'):\n    torch.nothing_new()\n"),
        ("    mask = at < n\n", "    mask = at < n ** 2\n"),
        ("    mask = at < n\n", "    half = 2.0\n    half = half ** BLOCK\n    mask = at < n\n"),
        ("    mask = at < n\n", "    at.shape, at.T, at.dtype.primitive_bitwidth, at.handle\n    mask = at < n\n"),
        ("    mask = at < n\n", "    if BLOCK < 0:\n        at = at ** 2\n    mask = at < n\n"),
        ("    mask = at < n\n", "    a, b = at, BLOCK\n    b ** 2, a.strange\n    mask = at < n\n"),
        ("import torch\n", "import torch\nif (half := 2):\n    pass\nhalf, __name__, __file__\n"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_left_alone(old: str, new: str) -> None:
    assert objection((old, new)) is None


def test_a_reference_that_does_not_say_its_arguments_decides_nothing() -> None:
    vague = Task("t", 1, REFERENCE.replace("return [16]", "return make()"))
    assert objection(("def __init__(self, features)", "def __init__(self)"), task=vague) is None


def test_no_python_is_left_to_the_base() -> None:
    assert source_objection(TASK, "def (") is None
    assert source_objection(TASK, "") is None


def test_a_table_entry_covers_what_lies_below_it() -> None:
    assert reason_for("cupy.cuda.runtime", IMPORTS)
    assert not reason_for("cupyx", IMPORTS)
    assert not reason_for("torch.utils", CALLS)
    assert all(reason and reason[0].islower() for table in (IMPORTS, CALLS) for reason in table.values())
