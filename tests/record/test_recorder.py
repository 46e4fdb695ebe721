"""Recording candidates without a GPU: what people write becomes a plan, what cannot becomes a reason with a line."""

from pathlib import Path

import pytest
import torch

from tritonrl_core.bench.plan.flow import unearned_output
from tritonrl_core.bench.plan.schema import AtenCall, Launch, LaunchPlan, Tune
from tritonrl_core.bench.record.request import Arguments, RecordFailure, TensorSpec, storage_bytes
from tritonrl_core.types import Stage, Status

SCALE = """
@triton.jit
def scale(x_ptr, o_ptr, n, factor, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * factor, mask=i < n)
"""
FORWARD = """
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        n = x.numel()
        scale[(triton.cdiv(n, 1024),)](x, out, n, 2.5, BLOCK=1024, num_warps=8)
        return out
"""
X = TensorSpec((64, 100), (100, 1), 0, "float32", 25_600)
W = TensorSpec((32, 100), (100, 1), 0, "float32", 12_800)
SQUARE = TensorSpec((64, 64), (64, 1), 0, "float32", 16_384)
VECTOR = TensorSpec((32,), (1,), 0, "float32", 128)


def line_of(code: str, text: str) -> int:
    """Line of the first occurrence in the file that is recorded, which begins with the six lines of imports."""
    return 7 + code[: code.index(text)].count("\n")


def plan_of(answer: object) -> LaunchPlan:
    assert isinstance(answer, LaunchPlan), answer
    return answer


def failure_of(answer: object, status: Status) -> RecordFailure:
    assert isinstance(answer, RecordFailure), answer
    assert answer.status is status, answer
    return answer


def test_a_simple_kernel_becomes_one_launch(recorded):
    plan = plan_of(recorded(SCALE + FORWARD, X))
    (launch,) = plan.steps
    assert isinstance(launch, Launch)
    kernel = plan.kernels[launch.kernel]
    assert (kernel.name, kernel.options["num_warps"], kernel.constants) == ("scale", 8, {"BLOCK": 1024})
    assert [(param.path, param.type, param.divisible) for param in kernel.params] == [
        ("x_ptr", "*fp32", 16), ("o_ptr", "*fp32", 16), ("n", "i32", 16), ("factor", "fp32", 0),
    ]  # fmt: skip
    assert launch.grid == (7, 1, 1)
    assert launch.args[2:] == (6400, 2.5)
    assert [buffer.role for buffer in plan.buffers] == ["input", "alloc"]
    assert unearned_output(plan) == ""


def test_a_forbidden_function_of_tritons_library_is_refused_under_any_name(recorded):
    library = 'own = vars(tl)["soft" + "max"]\n'
    use = "mask=i < n).to(tl.float32) + own(i.to(tl.float32))"
    code = library + SCALE.replace("mask=i < n) * factor", use) + FORWARD
    failure = failure_of(recorded(code, X, forbidden=("softmax",)), Status.REJECTED)
    assert failure.reason == "tl.softmax is not allowed: the task is the algorithm itself"
    plan_of(recorded(code, X))
    plan_of(recorded(code, X, forbidden=("sort",)))


def test_no_location_of_this_machine_is_in_a_plan(recorded):
    plan = plan_of(recorded(SCALE + FORWARD, X))
    assert "loc(" not in plan.kernels[0].ttir
    assert str(Path(__file__).parent) not in plan.kernels[0].ttir


def test_unaligned_inputs_make_no_promise(recorded):
    plan = plan_of(recorded(SCALE + FORWARD, TensorSpec((64, 100), (100, 1), 1, "float32", 25_604)))
    assert plan.kernels[0].params[0].divisible == 0
    assert plan.inputs[0].offset == 1


def test_keyword_launches_and_callable_grids(recorded):
    code = SCALE + FORWARD.replace(
        "scale[(triton.cdiv(n, 1024),)](x, out, n, 2.5, BLOCK=1024, num_warps=8)",
        "scale[lambda meta: (triton.cdiv(n, meta['BLOCK']),)](x, o_ptr=out, n=n, factor=2.5, BLOCK=256, num_stages=2)",
    )
    plan = plan_of(recorded(code, X))
    assert plan.launches()[0].grid == (25, 1, 1)
    assert plan.kernels[0].options["num_stages"] == 2


def test_parameters_are_found_by_name(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.linear = nn.Linear(i, o)
    def forward(self, x):
        out = torch.empty_like(self.linear.weight)
        scale[(4,)](self.linear.weight, out, out.numel(), 1.5, BLOCK=1024)
        return out, self.linear.bias
"""
    plan = plan_of(recorded(code, X, init=(100, 32), state={"linear.weight": W, "linear.bias": VECTOR}))
    assert set(plan.parameters) == {"linear.weight", "linear.bias"}
    assert plan.prologue == ()


def test_parameters_of_other_names_are_found_by_shape_and_order(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(32))
        self.beta = nn.Parameter(torch.zeros(32))
        self.register_buffer("mean", torch.zeros(32))
    def forward(self, x):
        scale[(1,)](self.gamma, x, 32, 1.5, BLOCK=32)
        scale[(1,)](self.beta, x, 32, 1.5, BLOCK=32)
        scale[(1,)](self.mean, x, 32, 1.5, BLOCK=32)
        return x
"""
    state = {"bn.weight": VECTOR, "bn.bias": VECTOR, "bn.running_mean": VECTOR}
    plan = plan_of(recorded(code, X, state=state))
    read = [plan.buffers[launch.args[0].buffer].name for launch in plan.launches()]
    assert read == ["bn.weight", "bn.bias", "bn.running_mean"]


def test_weights_packed_in_init_are_the_prologue(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        linear = nn.Linear(i, o)
        self.packed = nn.Parameter(linear.weight.detach().t().contiguous())
    def forward(self, x):
        out = torch.empty_like(self.packed)
        scale[(4,)](self.packed, out, out.numel(), 1.5, BLOCK=1024)
        return out
"""
    plan = plan_of(recorded(code, X, init=(100, 32), state={"linear.weight": W, "linear.bias": VECTOR}))
    assert [call.name for call in plan.prologue] == ["aten.clone.default"]
    assert set(plan.parameters) == {"linear.weight"}


def test_weights_packed_on_the_first_call_are_the_prologue(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.linear = nn.Linear(i, o)
        self.packed = None
    def forward(self, x):
        if self.packed is None:
            self.packed = torch.empty_like(self.linear.weight)
            scale[(4,)](self.linear.weight, self.packed, x.numel(), 3.0, BLOCK=1024)
        out = torch.empty_like(self.packed)
        scale[(4,)](self.packed, out, out.numel(), 1.5, BLOCK=1024)
        return out
"""
    plan = plan_of(recorded(code, X, init=(100, 32), state={"linear.weight": W, "linear.bias": VECTOR}))
    assert (len(plan.prologue), len(plan.steps)) == (1, 1)


def test_a_parameter_that_matches_nothing_has_a_clear_reason(recorded):
    code = SCALE + FORWARD.replace("    def forward", """
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(7, 7))
    def forward""").replace("(x, out", "(self.w, out")  # fmt: skip
    failure = failure_of(recorded(code, X, state={"weight": W}), Status.RUNTIME_ERROR)
    assert "matches none of the reference's" in failure.reason
    assert "[7, 7]" in failure.reason


def test_torch_work_is_seen_by_name_and_line(recorded):
    code = SCALE + FORWARD.replace("return out", "return torch.softmax(out, -1).to(torch.float16)")
    plan = plan_of(recorded(code, X))
    assert [step.name for step in plan.steps[1:]] == ["aten._softmax.default", "aten._to_copy.default"]
    assert plan.steps[1].line == line_of(code, "torch.softmax")


def test_views_are_no_steps(recorded):
    code = SCALE + FORWARD.replace("return out", "return out.view(-1)[10:20].unsqueeze(0)")
    plan = plan_of(recorded(code, X))
    assert len(plan.steps) == 1
    assert (plan.outputs[0].offset, plan.outputs[0].shape) == (10, (1, 10))


def test_autotuned_kernels_keep_all_configurations(recorded):
    code = SCALE.replace("@triton.jit", """
@triton.autotune(
    configs=[triton.Config({"BLOCK": 128}, num_warps=2), triton.Config({"BLOCK": 512}, num_warps=4)], key=["n"]
)
@triton.jit""") + FORWARD.replace("(triton.cdiv(n, 1024),)", "lambda meta: (triton.cdiv(n, meta['BLOCK']),)").replace(
        ", BLOCK=1024, num_warps=8", "")  # fmt: skip
    plan = plan_of(recorded(code, X))
    (step,) = plan.steps
    assert isinstance(step, Tune)
    assert [variant[0].grid for variant in step.variants] == [(50, 1, 1), (13, 1, 1)]
    assert [kernel.options["num_warps"] for kernel in plan.kernels] == [2, 4]


def test_heuristics_fill_in_arguments(recorded):
    code = SCALE.replace("@triton.jit", """
@triton.heuristics({"BLOCK": lambda args: triton.next_power_of_2(args["n"] // 100)})
@triton.jit""") + FORWARD.replace(", BLOCK=1024, num_warps=8", "")  # fmt: skip
    assert plan_of(recorded(code, X)).kernels[0].constants["BLOCK"] == 64


def test_helper_functions_and_several_kernels(recorded):
    code = """
@triton.jit
def twice(x):
    return x + x
@triton.jit
def one(x_ptr, o_ptr, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o_ptr + i, twice(tl.load(x_ptr + i)))
@triton.jit
def two(x_ptr, o_ptr, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o_ptr + i, tl.exp(tl.load(x_ptr + i)))
class ModelNew(nn.Module):
    def forward(self, x):
        a = torch.empty_like(x)
        b = torch.empty_like(x)
        one[(1,)](x, a, B=64)
        two[(1,)](a, b, B=64)
        return a, (b, None, 3)
"""
    plan = plan_of(recorded(code, X))
    assert [kernel.name for kernel in plan.kernels] == ["one", "two"]
    assert [output if isinstance(output, int) else output.buffer for output in plan.outputs] == [1, 2, 3]


def test_tuple_arguments_are_taken_apart(recorded):
    code = """
@triton.jit
def add(ptrs, o_ptr, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(o_ptr + i, tl.load(ptrs[0] + i) + tl.load(ptrs[1] + i))
class ModelNew(nn.Module):
    def forward(self, x, y):
        out = torch.empty_like(x)
        add[(1,)]((x, y), out, B=64)
        return out
"""
    plan = plan_of(recorded(code, X, X))
    assert [param.path for param in plan.kernels[0].params] == ["ptrs.0", "ptrs.1", "o_ptr"]
    assert unearned_output(plan) == ""


def test_tensor_descriptors_made_on_the_host(recorded):
    code = """
from triton.tools.tensor_descriptor import TensorDescriptor
@triton.jit
def move(x, o, B: tl.constexpr):
    o.store([0, 0], tl.exp(x.load([0, 0])))
class ModelNew(nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        move[(1,)](TensorDescriptor.from_tensor(x, [16, 16]), TensorDescriptor.from_tensor(out, [16, 16]), B=16)
        return out
"""
    plan = plan_of(recorded(code, SQUARE))
    assert plan.launches()[0].args[0].block_shape == (16, 16)
    assert unearned_output(plan) == ""


def test_device_properties_are_the_targets(recorded):
    grid = "(torch.cuda.get_device_properties(0).multi_processor_count,)"
    code = SCALE + FORWARD.replace("(triton.cdiv(n, 1024),)", grid)
    assert plan_of(recorded(code, X)).launches()[0].grid == (132, 1, 1)
    assert plan_of(recorded(code, X, target="sm_80")).launches()[0].grid == (108, 1, 1)


def test_ways_of_going_to_the_device_all_work(recorded):
    code = SCALE + FORWARD.replace("out = torch.empty_like(x)", """
        table = torch.tensor([1.0, 2.0]).cuda().to("cuda").to(0)
        mask = torch.zeros(4, device=torch.cuda.current_device())
        with torch.cuda.device(x.device), torch.cuda.stream(torch.cuda.Stream()):
            torch.cuda.synchronize()
            out = torch.empty(x.shape, device="cuda", dtype=x.dtype)
""")  # fmt: skip
    plan = plan_of(recorded(code, X))
    assert plan.outputs[0].shape == (64, 100)
    assert "stream" in {note.kind for note in plan.notes}


def test_a_captured_graph_is_its_launches(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    graph = None
    def forward(self, x):
        if self.graph is None:
            self.x, self.out = torch.empty_like(x), torch.empty_like(x)
            scale[(7,)](self.x, self.out, x.numel(), 2.5, BLOCK=1024)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                scale[(7,)](self.x, self.out, x.numel(), 2.5, BLOCK=1024)
        self.x.copy_(x)
        self.graph.replay()
        return self.out.clone()
"""
    plan = plan_of(recorded(code, X))
    assert [type(step).__name__ for step in plan.steps] == ["AtenCall", "Launch", "AtenCall"]
    assert plan.prologue == ()
    assert unearned_output(plan) == ""


def test_in_place_work_on_own_buffers(recorded):
    code = SCALE + FORWARD.replace("return out", "out.add_(1)\n        return out")
    plan = plan_of(recorded(code, X))
    assert isinstance(plan.steps[1], AtenCall)
    assert plan.steps[1].outputs == (plan.outputs[0],)


def test_half_precision_models_are_cast(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.linear = nn.Linear(i, o)
    def forward(self, x):
        out = torch.empty_like(self.linear.weight)
        scale[(4,)](self.linear.weight, out, out.numel(), 1.5, BLOCK=1024)
        return out
"""
    half = TensorSpec((32, 100), (100, 1), 0, "float16", 6400)
    plan = plan_of(recorded(code, X, init=(100, 32), state={"linear.weight": half}, dtype="float16"))
    assert plan.parameters["linear.weight"].dtype == "float16"
    assert plan.kernels[0].params[0].type == "*fp16"


def test_batch_norms_keep_their_counter(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(32)
    def forward(self, x):
        out = torch.empty_like(self.bn.running_mean)
        scale[(1,)](self.bn.running_mean, out, 32, 1.5, BLOCK=32)
        self.bn.num_batches_tracked.add_(1)
        return out
"""
    count = TensorSpec((), (), 0, "int64", 8)
    state = {**{f"bn.{name}": VECTOR for name in ("weight", "bias", "running_mean")}, "bn.num_batches_tracked": count}
    plan = plan_of(recorded(code, X, state=state, training=True))
    assert set(plan.parameters) == {"bn.running_mean", "bn.num_batches_tracked"}


CACHES = {
    "by call": "self.out if getattr(self, 'out', None) is not None else self.compute(x)",
    "by shape": "self.cache[x.shape] if x.shape in self.cache else self.cache.setdefault(x.shape, self.compute(x))",
    "by pointer": "self.cache[x.data_ptr()] if x.data_ptr() in self.cache else "
    "self.cache.setdefault(x.data_ptr(), self.compute(x))",
    "by id": "self.cache[id(x)] if id(x) in self.cache else self.cache.setdefault(id(x), self.compute(x))",
}


@pytest.mark.parametrize("kind", CACHES)
def test_playing_back_a_stored_result_is_cheating(recorded, kind):
    code = SCALE + f"""
class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache = {{}}
    def compute(self, x):
        self.out = torch.empty_like(x)
        scale[(7,)](x, self.out, x.numel(), 2.5, BLOCK=1024)
        return self.out
    def forward(self, x):
        return {CACHES[kind]}
"""
    failure = failure_of(recorded(code, X, other=Arguments((), (W,))), Status.CHEATED)
    assert "played back" in failure.reason


def test_keeping_data_for_the_next_call_is_unsupported_with_its_line(recorded):
    code = SCALE + """
class ModelNew(nn.Module):
    last = None
    def forward(self, x):
        out = torch.empty_like(x)
        source = x if self.last is None else self.last
        scale[(7,)](source, out, x.numel(), 2.5, BLOCK=1024)
        self.last = out
        return out
"""
    failure = failure_of(recorded(code, X), Status.UNSUPPORTED)
    assert "keeps data" in failure.reason
    assert failure.line == line_of(code, "scale[(7,)]")


def test_doing_less_after_some_calls_is_found(recorded):
    shrinking = "self.n = getattr(self, 'n', 0) + 1\n        n = x.numel() // self.n"
    code = SCALE + FORWARD.replace("n = x.numel()", shrinking)
    failure = failure_of(recorded(code, X), Status.UNSUPPORTED)
    assert "do not do the same" in failure.reason


def test_a_lazily_negated_view_is_unsupported_and_not_taken_for_its_memory(recorded):
    code = SCALE + FORWARD.replace("return out", "return torch._neg_view(out)")
    failure = failure_of(recorded(code, X), Status.UNSUPPORTED)
    assert "negates" in failure.reason


def test_a_value_that_decides_is_unsupported_with_its_line(recorded):
    code = SCALE + FORWARD.replace("n = x.numel()", "n = int(x.max().item())")
    failure = failure_of(recorded(code, X), Status.UNSUPPORTED)
    assert failure.line == line_of(code, "x.max()")
    assert "value" in failure.reason


def test_a_value_is_known_where_values_are_given(recorded):
    asking = "n = int(x.abs().max().item()) + len(torch.tensor([1, 2]).tolist())"
    code = SCALE + FORWARD.replace("n = x.numel()", asking)
    asked = failure_of(recorded(code, SQUARE), Status.UNSUPPORTED)
    assert asked.needs_values
    values = torch.arange(-64 * 64, 0, dtype=torch.float32).reshape(64, 64)
    plan = plan_of(recorded(code, SQUARE, values=storage_bytes([values])))
    assert plan.launches()[0].args[2] == 64 * 64 + 2
    assert [note.text for note in plan.notes if note.kind == "readback"] == ["4096.0"]


def test_a_parameters_value_is_the_references(recorded):
    code = SCALE + FORWARD.replace("    def forward", """
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
    def forward""").replace("n, 2.5", "n, self.scale.item()")  # fmt: skip
    state = {"scale": TensorSpec((), (), 0, "float32", 4)}
    values = storage_bytes([torch.zeros(64, 64), torch.tensor(0.75)])
    plan = plan_of(recorded(code, SQUARE, state=state, values=values))
    assert plan.launches()[0].args[3] == 0.75


READS = FORWARD.replace("return out", "again = torch.empty_like(x)\n        ASK\n        return again").replace(
    "ASK", "scale[(7,)](x, again, n, out.sum().item(), BLOCK=1024)")


def test_what_a_kernel_wrote_is_known_where_values_are_given(recorded):
    code = SCALE + READS
    assert failure_of(recorded(code, SQUARE), Status.UNSUPPORTED).needs_values
    plan = plan_of(recorded(code, SQUARE, values=storage_bytes([torch.ones(64, 64)])))
    assert plan.launches()[1].args[3] == 64 * 64 * 2.5
    assert [note.text for note in plan.notes if note.kind == "readback"] == ["10240.0"]


def test_an_autotuned_kernel_is_followed_once(recorded):
    tuned = SCALE.replace("@triton.jit", """@triton.autotune(
    [triton.Config({"BLOCK": 256}), triton.Config({"BLOCK": 1024})], key=["n"])
@triton.jit""").replace("tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * factor",
                        "tl.store(o_ptr + i, tl.load(x_ptr + i, mask=i < n) * factor + tl.load(o_ptr + i, mask=i < n)")
    code = tuned + READS.replace(", BLOCK=1024, num_warps=8", "").replace(", BLOCK=1024", "")
    code = code.replace("(triton.cdiv(n, 1024),)", "lambda meta: (triton.cdiv(n, meta['BLOCK']),)")
    code = code.replace("out = torch.empty_like(x)", "out = torch.zeros_like(x)")
    plan = plan_of(recorded(code, SQUARE, values=storage_bytes([torch.ones(64, 64)])))
    assert [note.text for note in plan.notes if note.kind == "readback"] == ["10240.0"]


def test_what_the_machine_cannot_carry_out_is_not_known(recorded):
    asm = "tl.inline_asm_elementwise('mov.b32 $0, $1;', '=r,r', [tl.load(x_ptr + i, mask=i < n)], tl.float32, True, 1)"
    code = SCALE.replace("tl.load(x_ptr + i, mask=i < n)", asm) + READS
    failure = failure_of(recorded(code, SQUARE, values=storage_bytes([torch.ones(64, 64)])), Status.UNSUPPORTED)
    assert failure.line == line_of(code, "scale[(7,)]")


def test_shapes_that_depend_on_values(recorded):
    nonzero = "x = torch.nonzero(x)[:, 0].float()\n        out = torch.empty_like(x)"
    code = SCALE + FORWARD.replace("out = torch.empty_like(x)", nonzero)
    values = torch.zeros(64, 64)
    values[3, 4:9] = 1
    plan = plan_of(recorded(code, SQUARE, values=storage_bytes([values])))
    assert plan.outputs[0].shape == (5,)


def test_errors_of_the_candidate_have_its_line(recorded):
    code = SCALE + FORWARD.replace("n = x.numel()", "n = x.no_such_thing()")
    failure = failure_of(recorded(code, X), Status.RUNTIME_ERROR)
    assert failure.line == line_of(code, "no_such_thing")
    assert "no_such_thing" in failure.reason


def test_errors_in_a_kernel_are_build_errors_with_the_kernels_line(recorded):
    code = SCALE.replace("tl.load(x_ptr + i", "tl.lod(x_ptr + i") + FORWARD
    failure = failure_of(recorded(code, X), Status.BUILD_ERROR)
    assert failure.line == line_of(code, "tl.lod")
    assert "lod" in failure.reason
    assert len(failure.reason) < 500


def test_a_cpu_tensor_given_to_a_kernel_is_a_runtime_error(recorded):
    code = SCALE + FORWARD.replace("torch.empty_like(x)", "torch.empty(x.shape)")
    assert "cpu tensor" in failure_of(recorded(code, X), Status.RUNTIME_ERROR).reason


REFUSED = {
    "def forward(:": (Status.REJECTED, Stage.AST, "not Python"),
    "x = 1": (Status.REJECTED, Stage.AST, "ModelNew"),
    SCALE + FORWARD.replace("out = torch.empty_like(x)", "out = torch.compile(torch.relu)(x)"): (
        Status.REJECTED, Stage.RECORD, "torch.compile"),
    "from torch.utils.cpp_extension import load_inline\nm = load_inline('a', 'b')": (
        Status.REJECTED, Stage.RECORD, "load_inline"),
    "raise SystemExit(0)": (Status.BUILD_ERROR, Stage.RECORD, "SystemExit"),
    "import no_such_module": (Status.BUILD_ERROR, Stage.RECORD, "no_such_module"),
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED)
def test_what_is_no_candidate_is_a_verdict(recorded, code):
    answer = recorded(code, X)
    assert isinstance(answer, RecordFailure)
    assert (answer.status, answer.stage) == REFUSED[code][:2]
    assert REFUSED[code][2] in answer.reason


def test_a_table_written_in_python_is_a_constant(recorded):
    code = SCALE + FORWARD.replace("(x, out", "(torch.tensor([1.0, 2.0], device='cuda'), out")
    plan = plan_of(recorded(code, X))
    (constant,) = [buffer for buffer in plan.buffers if buffer.role == "constant"]
    assert len(constant.data) == 8
    assert "does not depend on the inputs" in unearned_output(plan)


def test_a_large_table_is_rejected(recorded):
    code = SCALE + FORWARD.replace("(x, out", "(torch.tensor([0.5] * 5000, device='cuda'), out")
    assert "written in Python" in failure_of(recorded(code, X), Status.REJECTED).reason


DECORATIONS = {
    "is made of the inputs without": ("torch.relu(x)", "(x, torch.empty_like(x)"),
    "is only copied": ("torch.empty_like(x)", "(x, out"),
}


@pytest.mark.parametrize("reason", DECORATIONS)
def test_kernels_that_do_not_compute_the_output_are_named(recorded, reason):
    value, args = DECORATIONS[reason]
    kernel = SCALE.replace(" * factor", "" if "copied" in reason else " * factor")
    code = kernel + FORWARD.replace("torch.empty_like(x)", value).replace("(x, out", args)
    assert reason in unearned_output(plan_of(recorded(code, X)))


def test_no_launch_is_named(recorded):
    code = SCALE + "class ModelNew(nn.Module):\n    def forward(self, x):\n        return torch.relu(x)\n"
    assert "no Triton kernel is launched" in unearned_output(plan_of(recorded(code, X)))


NEWER = """
import dataclasses, sys
trace = next(sys.modules[name] for name in sys.modules if name.startswith("tritonrl_core") and name.endswith(".trace"))
on_launch = trace.Trace.on_launch
def newer(self, kernel, *rest):
    on_launch(self, dataclasses.replace(kernel, ttir=kernel.ttir.replace("tt.load", "tt.novel_load")), *rest)
trace.Trace.on_launch = newer
"""
"""Makes kernels as a Triton would that has another operation for loads."""


@pytest.mark.parametrize("memory", ["torch.empty_like(x)", "self.__dict__.setdefault('kept', torch.empty_like(x))"])
def test_an_operation_that_nobody_knows_makes_nobody_a_cheat(recorded, memory):
    """Nor one who keeps memory from call to call, which such a kernel might have read."""
    code = SCALE + FORWARD.replace("torch.empty_like(x)", memory)
    assert isinstance(recorded(code, X), LaunchPlan)
    failure = failure_of(recorded(NEWER + code, X), Status.UNSUPPORTED)
    assert failure.line
    assert "kernel scale uses tt.novel_load, an operation that is not known here" in failure.reason


def test_a_dtype_that_a_plan_cannot_hold_is_said(recorded):
    code = SCALE + FORWARD.replace("return out", "return out.view(torch.uint8).view(torch.float8_e8m0fnu)")
    failure = failure_of(recorded(code, X), Status.UNSUPPORTED)
    assert "a tensor of float8_e8m0fnu cannot be recorded" in failure.reason
