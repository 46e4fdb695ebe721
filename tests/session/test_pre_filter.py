"""The base's rules on a candidate's source: what they refuse, for which reason, and that nothing honest is refused."""

import time
import warnings

import pytest

from tritonrl_core.base import pre_filter
from tritonrl_core.testing import SAMPLE_KERNEL
from tritonrl_core.types import Candidate, Policy, Stage, Status, Task

HEAD = """
import torch, torch.nn as nn, triton, triton.language as tl
"""
KERNEL = """
@triton.jit
def kernel(x, y, n, B: tl.constexpr):
    tl.store(y, tl.load(x))
"""
MODEL = """
class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        kernel[(1,)](x, y, 3, B=4)
        return y
"""


def objection(code):
    return pre_filter(Candidate.from_code(code))


REFUSED = {
    "nothing": ("  \n", "there is no code"),
    "prose": ("Here is the kernel you asked for.", "not valid Python: invalid syntax (line 1): Here is"),
    "a missing bracket": (HEAD + "def f(:\n    pass\n", "not valid Python: invalid syntax (line 3): def f(:"),
    "an unfinished block": (HEAD + "class ModelNew(nn.Module):\n", "not valid Python: expected an indented block"),
    "a null byte": ("x = 1\0", "not valid Python: source code"),
    "too deep": ("x = " + "(" * 5000, "not valid Python: "),
    "deep operators": ("x = " + "-" * 100_000 + "1", "not valid Python: "),
    "too long": ("x = 1\n" * 40_000, "at most 200000 are read"),
    "no ModelNew": (HEAD + KERNEL + MODEL.replace("ModelNew", "Model"), "defines no class ModelNew"),
    "a nested ModelNew": (HEAD + KERNEL + "def f():\n  class ModelNew:\n    def forward(self): 0\n", "class ModelNew"),
    "no forward": (HEAD + KERNEL + MODEL.replace("forward", "run"), "class ModelNew has no method forward"),
    "no forward in its base": (
        HEAD + KERNEL + "class Part(nn.Module):\n    pass\nclass ModelNew(Part):\n    pass\n", "has no method forward"),
    "no kernel": (HEAD + MODEL.replace("kernel[(1,)]", "torch.add"), "no function of the code is decorated"),
    "another jit": (
        HEAD + KERNEL.replace("triton.jit", "torch.jit.script") + MODEL, "no function of the code is"),
    "no launch": (HEAD + KERNEL + MODEL.replace("kernel[(1,)]", "torch.add"), "but kernel[grid](...) is nowhere"),
    "called without a grid": (HEAD + KERNEL + MODEL.replace("kernel[(1,)]", "kernel"), "is nowhere called"),
    "subscripts of other things": (
        HEAD + KERNEL + MODEL.replace("kernel[(1,)](x, y, 3, B=4)", "y = x[0] + x.shape[0]"), "nowhere called"),
    "launched where nothing leads": (
        HEAD + KERNEL + "def unused(x):\n    kernel[(1,)](x, x, 3, B=4)\n"
        + MODEL.replace("kernel[(1,)](x, y, 3, B=4)", "y = torch.relu(x)"), "nothing that it calls launches kernel"),
}  # fmt: skip


@pytest.mark.parametrize("way", REFUSED)
def test_a_certain_mistake_is_refused_with_its_reason(way):
    code, reason = REFUSED[way]
    found = objection(code)
    assert found is not None
    assert (found.status, found.stage, found.valid) == (Status.REJECTED, Stage.AST, False)
    assert reason in found.reason


HONEST = {
    "the sample": SAMPLE_KERNEL,
    "plain": HEAD + KERNEL + MODEL,
    "autotuned": HEAD + KERNEL.replace(
        "@triton.jit", "@triton.autotune(configs=[], key=['n'])\n@triton.heuristics({})\n@triton.jit") + MODEL,
    "jit with options": HEAD + KERNEL.replace("@triton.jit", "@triton.jit(do_not_specialize=['n'])") + MODEL,
    "jit by another name": HEAD + "from triton import jit as J\n" + KERNEL.replace("triton.jit", "J") + MODEL,
    "triton by another name": "import triton as t\n" + HEAD + KERNEL.replace("triton.jit", "t.jit") + MODEL,
    "jit aliased": HEAD + "jit = triton.jit\n" + KERNEL.replace("@triton.jit", "@jit") + MODEL,
    "jit called": HEAD + KERNEL.replace("@triton.jit\n", "").replace("kernel", "body")
        + "kernel = triton.jit(body)\n" + MODEL,
    "gluon": HEAD + "from triton.experimental import gluon\n" + KERNEL.replace("triton.jit", "gluon.jit") + MODEL,
    "launched by a function": HEAD + KERNEL + "def go(x, y):\n    kernel[(1,)](x, y, 3, B=4)\n"
        + MODEL.replace("kernel[(1,)](x, y, 3, B=4)", "go(x, y)"),
    "launched by a method": HEAD + KERNEL + MODEL.replace("kernel[(1,)](x, y, 3, B=4)", "self.go(x, y)")
        + "    def go(self, x, y):\n        kernel[(1,)](x, y, 3, B=4)\n",
    "launched by another class": HEAD + KERNEL
        + "class Op(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
        + "        kernel[(1,)](x, x, 3, B=4)\n        return x\n"
        + MODEL.replace("kernel[(1,)](x, y, 3, B=4)", "y = Op.apply(x)"),
    "launched through an attribute": HEAD + KERNEL + MODEL.replace("kernel[(1,)]", "self.op[(1,)]")
        + "    def __init__(self):\n        super().__init__()\n        self.op = kernel\n",
    "launched through a table": HEAD + KERNEL + "T = {'k': kernel}\n" + MODEL.replace("kernel[(1,)]", "T['k'][(1,)]"),
    "launched through a parameter": HEAD + KERNEL + "def go(op, x, y):\n    op[(1,)](x, y, 3, B=4)\n"
        + MODEL.replace("kernel[(1,)](x, y, 3, B=4)", "go(kernel, x, y)"),
    "launched through a function's result": HEAD + KERNEL + "def pick():\n    return kernel\n"
        + MODEL.replace("kernel[(1,)]", "pick()[(1,)]"),
    "launched in two steps": HEAD + KERNEL + MODEL.replace("kernel[(1,)](", "launch = kernel[(1,)]\n        launch("),
    "launched in a loop": HEAD + KERNEL + MODEL.replace(
        "kernel[(1,)](x, y, 3, B=4)", "for op in [kernel]:\n            op[(1,)](x, y, 3, B=4)"),
    "launched by run": HEAD + KERNEL + MODEL.replace("kernel[(1,)](x, y, 3", "kernel.run(x, y, 3, grid=(1,)"),
    "launched on import": HEAD + KERNEL + "kernel[(1,)](1, 2, 3, B=4)\n" + MODEL.replace("kernel[(1,)]", "print"),
    "launched through getattr": HEAD + KERNEL + MODEL.replace("kernel[(1,)]", "getattr(m, 'ker' + 'nel')[(1,)]"),
    "forward from elsewhere": HEAD + KERNEL
        + "from somewhere import Base\nclass ModelNew(Base):\n    op = kernel[(1,)]\n",
    "forward of a base": HEAD + KERNEL + MODEL.replace("ModelNew", "Part") + "class ModelNew(Part):\n    pass\n",
    "forward set later": HEAD + KERNEL + MODEL.replace("forward", "go") + "ModelNew.forward = ModelNew.go\n",
    "forward assigned": HEAD + KERNEL + MODEL.replace("forward", "go") + "    forward = go\n",
    "ModelNew assigned": HEAD + KERNEL + MODEL.replace("ModelNew", "Mine") + "ModelNew = Mine\n",
    "ModelNew under if": HEAD + KERNEL + "if True:\n" + "\n".join("    " + line for line in MODEL.splitlines()),
    "kernel under try": HEAD + "try:\n" + "\n".join("    " + line for line in KERNEL.splitlines())
        + "\nexcept ImportError:\n    raise\n" + MODEL,
    "nested kernel": HEAD + MODEL.replace("        kernel", "\n".join(
        "        " + line for line in KERNEL.splitlines()) + "\n        kernel"),
    "helper kernels": HEAD + KERNEL + KERNEL.replace("kernel", "helper") + MODEL,
    "a stray backslash": HEAD + KERNEL + MODEL + 'NOTE = "\\d"\n',
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("style", HONEST)
def test_nothing_honest_is_refused(style):
    assert objection(HONEST[style]) is None


def test_a_candidates_source_makes_no_noise(recwarn):
    from tritonrl_core.testing import session_with
    from tritonrl_core.testing.samples import hook_arguments

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        session = session_with()
        arguments = {**hook_arguments("pre_filter"), "candidate": Candidate.from_code(HONEST["a stray backslash"])}
        assert session.pre_filter(**arguments) is None
    assert not [warning for warning in recwarn if issubclass(warning.category, SyntaxWarning | DeprecationWarning)]


@pytest.mark.parametrize("code", [
    HEAD + KERNEL + "".join(f"a{i} = a{i + 1}\n" for i in range(8000)) + "a8000 = kernel\n" + MODEL,
    HEAD + KERNEL + "".join(f"class C{i}(C{i + 1}): pass\n" for i in range(4000)) + "class ModelNew(C0): pass\n",
    HEAD + KERNEL + "x = f" + "()" * 20_000 + "\n" + MODEL,
    HEAD + KERNEL + "x = a" + ".a" * 20_000 + "\n" + MODEL,
    HEAD + KERNEL + "x = " + "+".join(["a"] * 30_000) + "\n" + MODEL,
    HEAD + KERNEL + "".join(f"{' ' * i}def f{i}():\n" for i in range(90)) + " " * 91 + "pass\n" + MODEL,
])  # fmt: skip
def test_no_source_takes_long_or_crashes(code):
    began = time.thread_time()
    objection(code)
    assert time.thread_time() - began < 3


SOFTMAX_TASK = Task("t", 1, "", policy=Policy(forbidden_builtins=("softmax",)))


@pytest.mark.parametrize(
    ("line", "use"),
    [
        ("", "tl.softmax(v)"),
        ("from triton.language import softmax as s\n", "s(v)"),
        ("from triton.language.standard import softmax\n", "softmax(v)"),
        ("import triton.language.standard\n", "triton.language.standard.softmax(v)"),
        ("from triton import language as lang\n", "lang.softmax(v)"),
    ],
)
def test_a_builtin_that_does_the_whole_task_is_refused_where_the_task_says_so(line: str, use: str) -> None:
    code = HEAD + line + KERNEL.replace("tl.load(x)", f"({use} for v in [tl.load(x)])") + MODEL
    found = pre_filter(Candidate.from_code(code), SOFTMAX_TASK)
    assert found is not None
    assert found.reason.endswith("tl.softmax is not allowed: the task is the algorithm itself")
    assert pre_filter(Candidate.from_code(code)) is None


def test_a_function_of_ones_own_may_be_called_softmax() -> None:
    code = HEAD + "@triton.jit\ndef softmax(v):\n    return v\n" + KERNEL.replace("tl.load(x)", "softmax(tl.load(x))")
    assert pre_filter(Candidate.from_code(code + MODEL), SOFTMAX_TASK) is None
