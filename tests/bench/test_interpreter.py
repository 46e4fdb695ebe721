"""Honest kernels get through the CPU bench: dtypes, devices, autotuning, helpers, parameters, layouts, metering."""

import pytest
import torch
from bench_samples import GOOD, REFERENCE

from tritonrl_core.types import CaseRequest, InputCase, Status, TimingProtocol

HEAD = """
import torch
import torch.nn as nn
import triton
import triton.language as tl
"""


def reference(forward, inputs, dtype="torch.float32", init="", arguments=""):
    return f"""
import torch
import torch.nn as nn
import torch.nn.functional as F
class Model(nn.Module):
    def __init__(self{arguments and ", " + arguments}):
        super().__init__()
        {init or "pass"}
    def forward(self, *x):
        return {forward}
def get_inputs():
    return [{inputs}]
def get_init_inputs():
    return []
"""


def rows(body, n=100, before="", launch="", dtype="x.dtype"):
    """A candidate whose kernel sees one row `v` (masked by `m`) of each of its programs and stores `r`."""
    return f"""{HEAD}
{before}
@triton.jit
def kernel(x, y, n, stride, B: tl.constexpr):
    row = tl.program_id(0)
    k = tl.arange(0, B)
    m = k < n
    v = tl.load(x + row * stride + k, mask=m, other=0.0)
    {body}
    tl.store(y + row * n + k, r, mask=m)

class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape, device=x.device, dtype={dtype})
        kernel[(x.shape[0],)](x, y, x.shape[1], x.stride(0), B=triton.next_power_of_2(x.shape[1]){launch})
        return y
"""


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("forward", "body"),
    [
        ("x[0] * x[0] + 1", "r = v * v + 1"),
        ("x[0].clamp(min=-0.5)", "r = tl.where(v > -0.5, v, -0.5)"),
        ("torch.sigmoid(x[0])", "r = tl.sigmoid(v.to(tl.float32))"),
        ("x[0].abs() - x[0]", "r = tl.abs(v) - v"),
        ("x[0] - x[0].amax(-1, keepdim=True)", "r = v - tl.max(tl.where(m, v, float('-inf')), axis=0)"),
        ("F.softmax(x[0], -1)", "e = tl.exp((v - tl.max(tl.where(m, v, -float('inf')), axis=0)).to(tl.float32)) * m\n"
                                "    r = e / tl.sum(e, axis=0)"),
        ("-x[0]", "r = -v"),
        ("x[0].cumsum(-1)", "r = tl.cumsum(v.to(tl.float32), axis=0)"),
        ("F.gelu(x[0], approximate='tanh')",
         "w = v.to(tl.float32)\n    r = 0.5 * w * (1 + libdevice.tanh(0.7978845608 * (w + 0.044715 * w * w * w)))"),
    ],
)  # fmt: skip
def test_arithmetic_in_every_float_dtype(judge, dtype, forward, body):
    before = "from triton.language.extra import libdevice" if "libdevice" in body else ""
    result = judge(rows(body, before=before), reference(forward, f"torch.randn(4, 100).to(torch.{dtype})"))
    assert result.status is Status.PASSED, result.reason
    assert any("libdevice" in item for item in result.unchecked) == bool(before)


def test_bfloat16_sums_and_products(judge):
    code = HEAD + """
@triton.jit
def kernel(a, b, c, s, K: tl.constexpr):
    i = tl.arange(0, 16)
    k = tl.arange(0, K)
    left = tl.load(a + i[:, None] * K + k[None, :])
    right = tl.load(b + k[:, None] * 16 + i[None, :])
    tl.store(c + i[:, None] * 16 + i[None, :], tl.dot(left, right))
    tl.store(s + i, tl.sum(left.to(tl.float32), axis=1).to(tl.bfloat16))

class ModelNew(nn.Module):
    def forward(self, a, b):
        c = torch.empty(16, 16, device="cuda", dtype=a.dtype)
        s = torch.empty(16, device=a.device, dtype=a.dtype)
        kernel[(1,)](a, b, c, s, K=64)
        return c, s
"""
    inputs = "torch.randn(16, 64).bfloat16(), torch.randn(64, 16).bfloat16()"
    result = judge(code, reference("(x[0] @ x[1], x[0].sum(1))", inputs))
    assert result.status is Status.PASSED, result.reason
    assert result.facts["launches"][0]["flops"] == {"fp16": 2 * 16 * 16 * 64}


@pytest.mark.parametrize("dtype", ["int32", "int64", "int16", "uint8", "bool"])
def test_integers_and_booleans(judge, dtype):
    value = "torch.randint(0, 2, (4, 100))" if dtype == "bool" else "torch.randint(0, 100, (4, 100))"
    result = judge(rows("r = v"), reference("x[0].clone()", f"{value}.to(torch.{dtype})"))
    assert result.status is Status.PASSED, result.reason


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_eight_bit_floats(judge, dtype):
    code = rows("r = v.to(tl.float32) * 0.5", dtype=f"torch.{dtype}")
    result = judge(code, reference("(x[0].float() * 0.5).to(x[0].dtype)", f"torch.randn(4, 64).to(torch.{dtype})"))
    assert result.status is Status.PASSED, result.reason


@pytest.mark.parametrize(
    "line",
    [
        "assert x.is_cuda and x.device.type == 'cuda' and x.get_device() == 0",
        "x = x.cuda().to('cuda').to(x.device).to(device='cuda:0', dtype=x.dtype)",
        "assert torch.cuda.is_available() and torch.cuda.get_device_capability() == (9, 0)",
        "assert torch.cuda.get_device_properties(x.device).multi_processor_count == 132",
        "torch.cuda.synchronize(); torch.cuda.current_stream().synchronize()",
        "assert triton.runtime.driver.active.get_current_target().arch == 90",
        "assert triton.runtime.driver.active.utils.get_device_properties(0)['multiprocessor_count'] == 132",
        "torch.cuda.set_device(x.device); z = torch.zeros(3, device=torch.device('cuda', 0)).cpu()",
        "with torch.cuda.device(x.device), torch.cuda.stream(torch.cuda.Stream()): pass",
        "self.cuda(); self.to('cuda'); self.to(x.device)",
        "z = torch.arange(4, device='cuda').pin_memory(); assert z.is_cuda",
        "z = torch.tensor([1.0], device='cuda'); assert z.device == x.device",
    ],
)
def test_a_program_for_a_gpu_runs_unchanged(judge, line):
    from tritonrl_core.types import Policy

    code = GOOD.replace("        y = torch", f"        {line}\n        y = torch")
    result = judge(code, policy=Policy(delegation="reported"))
    assert result.status is Status.PASSED, result.reason


def test_uninitialised_memory_is_poisoned(judge):
    for make in ("torch.empty_like(x)", "x.new_empty(x.shape)", "torch.empty(x.shape, device='cuda')",
                 "torch.empty_strided(x.shape, x.stride(), device='cuda')"):  # fmt: skip
        code = GOOD.replace("torch.empty_like(x)", make).replace("mask=m)\n\nclass", "mask=m & (i != 7))\n\nclass")
        result = judge(code)
        assert result.status is Status.WRONG, make
        assert "output[0, 7] is nan" in result.reason


def test_reads_outside_give_poison(judge):
    code = rows("r = tl.load(x + row * stride + k + 100000 * (row == 2), mask=m)")
    result = judge(code, reference("x[0].clone()", "torch.randn(4, 100)"))
    assert result.status is Status.WRONG
    assert "output[2, 0] is nan" in result.reason
    assert result.facts["stray_reads"] == 100


AUTOTUNED = GOOD.replace("@triton.jit", """@triton.autotune(
    configs=[triton.Config({"B": 64}, num_warps=2), triton.Config({"B": 256}, num_stages=2)], key=["total"])
@triton.heuristics({"EVEN": lambda a: a["total"] % a["B"] == 0})
@triton.jit""").replace("B: tl.constexpr", "B: tl.constexpr, EVEN: tl.constexpr").replace(
    "(triton.cdiv(x.numel(), 256),)", "lambda meta: (triton.cdiv(x.numel(), meta['B']),)").replace(", B=256", "")


def test_autotuning_and_heuristics_run_the_first_configuration(judge):
    result = judge(AUTOTUNED)
    assert result.status is Status.PASSED, result.reason
    assert result.facts["launches"][0]["grid"] == [25, 1, 1]


def test_a_meta_parameter_given_twice_is_an_error(judge):
    result = judge(AUTOTUNED.replace("x.numel())\n", "x.numel(), B=64)\n"))
    assert result.status is Status.RUNTIME_ERROR
    assert "Conflicting meta-parameters: B" in result.reason


def test_helper_functions_and_run_time_loops(judge):
    code = HEAD + """
@triton.jit
def twice(v, factor: tl.constexpr):
    return v * factor

@triton.jit
def kernel(x, y, n, B: tl.constexpr):
    total = tl.zeros((B,), tl.float32)
    row = tl.program_id(0)
    for start in range(0, n, B):
        k = start + tl.arange(0, B)
        total += twice(tl.load(x + row * n + k, mask=k < n, other=0.0), 2)
    for i in tl.static_range(2):
        total = twice(total, 1)
    tl.store(y + row, tl.sum(total, axis=0))

class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0], device=x.device)
        kernel[(x.shape[0],)](x, y, x.shape[1], B=32)
        return y
"""
    assert judge(code, reference("x[0].sum(1) * 2", "torch.randn(5, 333)")).status is Status.PASSED


def test_block_pointers_and_tensor_descriptors(judge):
    code = HEAD + """
@triton.jit
def kernel(x, y, z, M, N, B: tl.constexpr):
    p = tl.make_block_ptr(x, (M, N), (N, 1), (tl.program_id(0) * B, 0), (B, B), (1, 0))
    q = tl.make_block_ptr(y, (M, N), (N, 1), (tl.program_id(0) * B, 0), (B, B), (1, 0))
    d = tl.make_tensor_descriptor(z, (M, N), (N, 1), (B, B))
    for start in range(0, N, B):
        v = tl.load(p, boundary_check=(0, 1))
        tl.store(q, v + 1, boundary_check=(0, 1))
        d.store([tl.program_id(0) * B, start], v * 2)
        p, q = tl.advance(p, (0, B)), tl.advance(q, (0, B))

class ModelNew(nn.Module):
    def forward(self, x):
        y, z = torch.empty_like(x), torch.empty_like(x)
        kernel[(triton.cdiv(x.shape[0], 16),)](x, y, z, x.shape[0], x.shape[1], B=16)
        return y, z
"""
    result = judge(code, reference("(x[0] + 1, x[0] * 2)", "torch.randn(20, 40)"))
    assert result.status is Status.PASSED, result.reason


def test_atomics(judge):
    code = HEAD + """
@triton.jit
def kernel(x, y, n, B: tl.constexpr):
    k = tl.program_id(0) * B + tl.arange(0, B)
    tl.atomic_add(y, tl.sum(tl.load(x + k, mask=k < n, other=0.0), axis=0))

class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros(1, device=x.device)
        kernel[(triton.cdiv(x.numel(), 64),)](x, y, x.numel(), B=64)
        return y
"""
    assert judge(code, reference("x[0].sum().reshape(1)", "torch.randn(1000)")).status is Status.PASSED


def test_nan_in_maximum_is_what_a_gpu_gives(judge):
    """`tl.maximum` gives the number where one operand is NaN, and PyTorch's ReLU gives NaN."""
    inputs = "torch.where(torch.arange(400).reshape(4, 100) == 5, float('nan'), torch.randn(4, 100))"
    assert judge(rows("r = tl.maximum(v, 0.0)"), reference("torch.relu(x[0])", inputs)).status is Status.WRONG
    code = rows("r = tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL)")
    assert judge(code, reference("torch.relu(x[0])", inputs)).status is Status.PASSED


LINEAR = HEAD + """
@triton.jit
def kernel(x, w, b, y, N, K: tl.constexpr):
    row = tl.program_id(0)
    k = tl.arange(0, K)
    for n in range(N):
        v = tl.sum(tl.load(x + row * K + k) * tl.load(w + n * K + k), axis=0)
        tl.store(y + row * N + n, v + tl.load(b + n))

class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        INIT

    def forward(self, x):
        w, b = PARAMETERS
        y = torch.empty(x.shape[0], w.shape[0], device=x.device)
        kernel[(x.shape[0],)](x, w, b, y, w.shape[0], K=x.shape[1])
        return y
"""
LINEAR_REFERENCE = reference("self.linear(x[0])", "torch.randn(5, 16)", init="self.linear = nn.Linear(16, 7)")


@pytest.mark.parametrize(
    ("init", "parameters"),
    [
        ("self.linear = nn.Linear(16, 7)", "self.linear.weight, self.linear.bias"),
        ("self.fc = nn.Linear(16, 7)", "self.fc.weight, self.fc.bias"),
        ("self.w = nn.Parameter(torch.randn(7, 16)); self.b = nn.Parameter(torch.zeros(7))", "self.w, self.b"),
        ("l = nn.Linear(16, 7).cuda(); self.w, self.b = l.weight, l.bias", "self.w, self.b"),
        ("self.l = nn.Linear(16, 7); self.w = self.l.weight.detach().cuda().contiguous()", "self.w, self.l.bias"),
        ("l = nn.Linear(16, 7); self.p = torch.cat([l.weight.detach(), l.bias.detach()[:, None]], 1).cuda()",
         "self.p[:, :16].contiguous(), self.p[:, 16].contiguous()"),
        ("l = nn.Linear(16, 7); self.register_buffer('p', l.weight.data.t().contiguous()); self.b = l.bias",
         "self.p.t().contiguous(), self.b"),
        ("l = nn.Linear(16, 7).double().float(); self.h = [l.weight.detach().cuda()]; self.b = l.bias",
         "self.h[0], self.b"),
    ],
)
def test_parameters_come_by_name_or_by_shape(judge, init, parameters):
    code = LINEAR.replace("INIT", init).replace("PARAMETERS", parameters)
    result = judge(code, LINEAR_REFERENCE)
    assert result.status is Status.PASSED, result.reason


def test_parameters_without_a_place_are_named(judge):
    code = LINEAR.replace("INIT", "self.w = nn.Parameter(torch.randn(7, 16))").replace("PARAMETERS", "self.w, x")
    result = judge(code, LINEAR_REFERENCE)
    assert result.status is Status.WRONG
    assert "the reference's linear.bias found no place" in result.reason


def test_a_parameter_that_is_left_out_shows_though_the_constructor_makes_it_the_identity(judge):
    source = reference("x[0] * self.w", "torch.randn(4, 100)", init="self.w = nn.Parameter(torch.ones(100))")
    result = judge(rows("r = v * 1.5 / 1.5"), source)
    assert result.status is Status.WRONG
    assert "the reference's w found no place" in result.reason


def test_programs_run_in_either_order(bench):
    """A kernel in which a later program overwrites an earlier one's work is right in one order only."""
    from tritonrl_core.types import Candidate, Task

    code = rows("r = v * 2").replace("tl.store(y + row * n + k, r, mask=m)", "tl.store(y + k, r, mask=m)")
    task = Task(id="t", level=1, source=reference("x[0][-1:].expand(4, -1) * 2", "torch.randn(4, 100)"))
    code = code.replace("return y", "return y[:1].expand(4, -1).contiguous()")
    program = bench.program(task, Candidate.from_code(code))
    statuses = [program.run(InputCase(f"case {seed}", seed)).status for seed in range(4)]
    assert statuses == [Status.PASSED, Status.WRONG, Status.PASSED, Status.WRONG]


def test_training_mode_and_buffers_follow_the_reference(judge):
    code = rows("r = v").replace("y = torch.empty(", "assert self.training\n        y = torch.empty(")
    assert judge(code, reference("x[0].clone()", "torch.randn(4, 100)"), mode="train").status is Status.PASSED
    result = judge(code, reference("x[0].clone()", "torch.randn(4, 100)"), mode="eval")
    assert result.status is Status.RUNTIME_ERROR
    assert "AssertionError" in result.reason


def test_in_place_on_an_input_is_right_where_the_reference_does_it(judge):
    code = rows("r = v").replace("y = torch.empty(x.shape, device=x.device, dtype=x.dtype)", "y = x")
    code = code.replace("r = v", "r = tl.maximum(v, 0.0)")
    in_place = reference("x[0].relu_()", "torch.randn(4, 100)")
    assert judge(code, in_place).status is Status.PASSED
    assert judge(code, reference("x[0].relu()", "torch.randn(4, 100)")).status is Status.WRONG
    wrong = code.replace("return y", "z = y.clone(); y.zero_(); return z")
    assert judge(wrong, in_place).status is Status.WRONG


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "offset", "expanded"])
def test_layouts_arrive_and_matter(judge, layout):
    case = InputCase(name=layout, seed=3, layout=layout)
    code = rows("r = v * 2")
    result = judge(code, reference("x[0] * 2", "torch.randn(6, 50)"), case=case)
    assert (result.status is Status.PASSED) == (layout != "transposed"), result.reason
    strided = code.replace("stride + k", "stride + k * inner").replace("stride, B:", "stride, inner, B:")
    strided = strided.replace("x.stride(0), B", "x.stride(0), x.stride(1), B")
    assert judge(strided, reference("x[0] * 2", "torch.randn(6, 50)"), case=case).status is Status.PASSED


def test_dims_and_dtypes_of_a_case(judge):
    case = InputCase(name="other", seed=3, dims={"N": 37}, dtype="float16")
    code = GOOD.replace("torch.ones(100)", "torch.ones(37)")
    assert judge(code, case=case, vary={"N": (37,)}).status is Status.PASSED
    assert judge(GOOD, case=case, vary={"N": (37,)}).status is Status.WRONG


def test_several_outputs_scalars_none_and_dicts(judge):
    code = rows("r = v").replace("return y", "return {'a': y, 'b': [None, (y, 3)]}")
    result = judge(code, reference("{'a': x[0].clone(), 'b': [None, (x[0].clone(), 3)]}", "torch.randn(4, 100)"))
    assert result.status is Status.PASSED, result.reason


def test_scalars_lists_and_strings_as_inputs(judge):
    code = rows("r = v * f").replace("n, stride, B", "n, stride, f, B").replace("x.stride(0), B", "x.stride(0), f, B")
    code = code.replace("def forward(self, x):", "def forward(self, pair, f, mode):\n        x = pair[0]")
    result = judge(code, reference("x[0][0] * x[1]", "[torch.randn(4, 100)], 1.5, 'nearest'"))
    assert result.status is Status.PASSED, result.reason


def test_the_same_case_is_judged_once_and_alike(bench, judge):
    from tritonrl_core.types import Candidate, Task

    program = bench.program(Task(id="t", level=1, source=REFERENCE), Candidate.from_code(GOOD))
    case = program.cases(CaseRequest())[0]
    assert program.run(case) is program.run(case)
    assert program.run(case, "kernelbench").status is Status.PASSED
    assert judge(GOOD, case=case).error == program.run(case).error


def test_compile_records_and_compiles_for_the_target(bench):
    from tritonrl_core.types import Candidate, Stage, Task

    task = Task(id="t", level=1, source=REFERENCE)

    def compiled(code):
        program = bench.program(task, Candidate.from_code(code))
        return program.compile(program.cases(CaseRequest(small=True))[0])

    result = compiled(GOOD)
    assert (result.status, result.stage, result.error) == (Status.PASSED, Stage.COMPILE, None)
    assert result.facts["registers"] > 0
    assert compiled(GOOD.replace("0.0)", "1.0)")).status is Status.PASSED  # wrong, and nothing ran
    assert compiled(GOOD.replace("B=256", "B=100")).status is Status.BUILD_ERROR
    assert compiled(GOOD.replace("return y", "return y + 0")).status is Status.REJECTED


def test_timing_is_an_estimate_and_says_so(bench):
    from tritonrl_core.errors import InfraError
    from tritonrl_core.types import Candidate, Task

    task = Task(id="t", level=1, source=REFERENCE)
    timing = bench.program(task, Candidate.from_code(GOOD)).time(TimingProtocol())
    assert timing.estimated
    assert not timing.reward_allowed
    assert timing.candidate_us[0] < timing.baseline_us["eager"][0]  # one launch instead of two
    assert timing.speedup == pytest.approx(timing.baseline_us["eager"][0] / timing.candidate_us[0])
    with pytest.raises(InfraError, match="only a program that passes"):
        bench.program(task, Candidate.from_code("")).time(TimingProtocol())


def test_a_broken_reference_is_the_users_error(bench):
    from tritonrl_core.errors import TaskError
    from tritonrl_core.types import Candidate, Task

    task = Task(id="t", level=1, source=REFERENCE.replace("x * self", "y * self"))
    program = bench.program(task, Candidate.from_code(GOOD))
    with pytest.raises(TaskError, match="name 'y' is not defined"):
        program.run(InputCase("as written", 0))


def test_describe_names_the_place(bench):
    facts = bench.describe()
    assert facts["sandbox"] == "none"
    assert facts["target"].startswith("sm_90")
    assert facts["torch"] == torch.__version__
