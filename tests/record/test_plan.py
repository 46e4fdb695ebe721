"""The launch plan: survives being written and read, and whatever a stranger writes becomes a plan or a reason."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonrl_core.bench.aten import operators
from tritonrl_core.bench.plan.check import PlanLimits, validate
from tritonrl_core.bench.plan.read import PlanError
from tritonrl_core.bench.plan.schema import (
    AtenCall,
    Buffer,
    Kernel,
    Launch,
    LaunchPlan,
    Note,
    Param,
    TensorRef,
    Tune,
    Word,
    as_data,
    encode,
    plain_steps,
    tensors_in,
)
from tritonrl_core.types import Status

X = TensorRef(0, (4, 8), (8, 1), 0, "float32")
W = TensorRef(1, (8,), (1,), 0, "float32")
OUT = TensorRef(2, (4, 8), (8, 1), 0, "float32")
HALF = TensorRef(3, (4, 8), (8, 1), 0, "float16")
TABLE = TensorRef(4, (2,), (1,), 0, "float32")
TTIR = """module {
  tt.func public @scale(%x: !tt.ptr<f32>, %o: !tt.ptr<f32>, %n: i32, %eps: f32) {
    tt.return
  }
}
"""
KERNEL = Kernel(
    "scale", "scale", TTIR, {"num_warps": 4, "num_stages": 3, "debug": False},
    (Param("x", "*fp32", 16), Param("o", "*fp32", 16), Param("n", "i32", 16), Param("eps", "fp32")),
    {"BLOCK": 128, "KIND": {"dtype": "fp32"}, "EPS": 1e-5, "SHAPE": (1, 2)}, line=3,
)  # fmt: skip
LAUNCH = Launch(0, (4, 1, 1), (X, OUT, 32, 1e-5), line=20)
PLAN = LaunchPlan(
    target="sm_90",
    triton="3.7.1",
    kernels=(KERNEL,),
    buffers=(
        Buffer(128, "input", index=0),
        Buffer(32, "parameter", name="linear.weight"),
        Buffer(128, "alloc"),
        Buffer(64, "aten"),
        Buffer(8, "constant", data=b"\0" * 8),
    ),
    inputs=(X,),
    parameters={"linear.weight": W},
    prologue=(),
    steps=(
        LAUNCH,
        Tune(((LAUNCH,), (replace(LAUNCH, grid=(2, 1, 1)),)), line=21),
        AtenCall("aten._to_copy.default", (OUT,), {"dtype": Word("dtype", "float16")}, (HALF,), 22),
        AtenCall("aten.add_.Tensor", (OUT, TABLE), {"alpha": 0.1}, (OUT,), 23),
    ),
    outputs=(OUT, HALF, 3, 0.5),
    notes=(Note("stream", "torch.cuda.Stream", 9),),
)


def refused(plan, limits=None) -> PlanError:
    data = plan if isinstance(plan, bytes) else encode(plan)
    answer = validate(data, limits)
    assert isinstance(answer, PlanError)
    return answer


def test_a_plan_survives_writing_and_reading():
    assert validate(encode(PLAN)) == PLAN


def test_special_floats_survive():
    kernel = replace(KERNEL, constants={"A": float("inf"), "B": -0.0})
    read = validate(encode(replace(PLAN, kernels=(kernel,))))
    assert read.kernels[0].constants["A"] == float("inf")
    assert str(read.kernels[0].constants["B"]) == "-0.0"


def test_plain_steps_take_one_variant_of_each_group():
    assert [step.grid[0] for step in plain_steps(PLAN.steps, pick=1)[:2]] == [4, 2]
    assert len(PLAN.launches()) == 2
    assert [call.name for call in PLAN.aten_calls()] == ["aten._to_copy.default", "aten.add_.Tensor"]


def test_tensors_are_found_everywhere():
    assert {ref.buffer for ref in tensors_in(PLAN.steps)} == {0, 2, 3, 4}


def test_what_is_not_json_is_a_verdict():
    for junk in (b"", b"\xff\x00", b"null", b"[]", b"{", b"[" * 100_000, b'{"schema": NaN}', b"1" * 10_000):
        assert refused(junk).status is Status.CHEATED


def test_a_plan_of_another_schema_is_refused():
    data = {**as_data(PLAN), "schema": 2}
    assert "schema" in refused(json.dumps(data).encode()).reason


def test_a_tensor_past_the_end_of_its_buffer_is_refused():
    outside = replace(OUT, offset=1)
    assert "past the end" in refused(replace(PLAN, outputs=(outside,))).reason
    assert "past the end" in refused(replace(PLAN, steps=(replace(LAUNCH, args=(X, outside, 32, 0.1)),))).reason


def test_broken_promises_are_refused():
    half_way = TensorRef(2, (4,), (1,), 1, "float32")
    assert "does not fit" in refused(replace(PLAN, steps=(replace(LAUNCH, args=(X, half_way, 32, 0.1)),))).reason
    assert "does not fit" in refused(replace(PLAN, steps=(replace(LAUNCH, args=(X, OUT, 33, 0.1)),))).reason
    assert "does not fit" in refused(replace(PLAN, steps=(replace(LAUNCH, args=(X, OUT, 1 << 33, 0.1)),))).reason


def test_a_scalar_where_a_pointer_belongs_is_refused():
    assert "does not fit" in refused(replace(PLAN, steps=(replace(LAUNCH, args=(64, OUT, 32, 0.1)),))).reason


def test_a_prologue_that_touches_inputs_is_refused():
    assert "touches the inputs" in refused(replace(PLAN, prologue=(LAUNCH,))).reason


def test_a_result_used_before_it_is_there_is_refused():
    assert "before the call" in refused(replace(PLAN, steps=(LAUNCH,), outputs=(HALF,))).reason


def test_what_a_variant_made_does_not_exist_after_the_group():
    cast = PLAN.steps[2]
    group = Tune(((cast, LAUNCH), (LAUNCH,)))
    assert "before the call" in refused(replace(PLAN, steps=(group,), outputs=(HALF,))).reason


def test_too_much_memory_is_the_candidates_own_fault():
    answer = refused(PLAN, PlanLimits(memory_bytes=100))
    assert answer.status is Status.RUNTIME_ERROR
    assert "out of memory" in answer.reason


def test_large_constants_are_rejected():
    big = Buffer(16 << 10, "constant", data=b"\1" * (16 << 10))
    answer = refused(replace(PLAN, buffers=(*PLAN.buffers, big)))
    assert answer.status is Status.REJECTED
    assert "written in Python" in answer.reason


def test_grids_are_checked():
    answer = refused(replace(PLAN, steps=(replace(LAUNCH, grid=(1, 70_000, 1)),)))
    assert answer.status is Status.RUNTIME_ERROR
    assert "65535" in answer.reason
    assert "grid" in refused(replace(PLAN, steps=(replace(LAUNCH, grid=(0, 1, 1)),))).reason


def test_unknown_operators_and_options_are_unsupported():
    call = AtenCall("aten.from_file.default", ("/etc/passwd",), {}, (HALF,), 5)
    answer = refused(replace(PLAN, steps=(call,)))
    assert (answer.status, "aten.from_file.default" in answer.reason) == (Status.UNSUPPORTED, True)
    kernel = replace(KERNEL, options={"ir_override": 1})
    assert refused(replace(PLAN, kernels=(kernel,))).status is Status.UNSUPPORTED


def test_a_kernel_that_links_a_file_of_its_own_is_rejected():
    line = 'tt.extern_elementwise %0 {libname = "x", libpath = "/tmp/evil.bc", pure = true, symbol = "f"}'
    kernel = replace(KERNEL, ttir=TTIR.replace("tt.return", line))
    assert refused(replace(PLAN, kernels=(kernel,))).status is Status.REJECTED


def test_a_kernel_must_be_in_its_text():
    for text in ("", "@scale( no TTIR", TTIR.replace("public ", ""), TTIR.replace("@scale", "@other")):
        assert "does not define it" in refused(replace(PLAN, kernels=(replace(KERNEL, ttir=text),))).reason


def test_parameters_and_inputs_lie_in_buffers_of_their_own():
    assert "input 0" in refused(replace(PLAN, inputs=(OUT,))).reason
    assert "parameter w" in refused(replace(PLAN, parameters={"w": W})).reason
    assert "not there" in refused(replace(PLAN, parameters={})).reason


def test_operators_have_a_kind():
    names = (
        *("aten.empty_like.default", "aten.zero_.default", "aten.cat.default", "aten.add_.Tensor"),
        *("aten._softmax.default", "aten.set_.source_Storage", "prims.add.default"),
    )
    kinds = {name: operators.kind(name) for name in names}
    assert list(kinds.values()) == [
        "allocation",
        "layout",
        "layout",
        "arithmetic",
        "arithmetic",
        "unlisted",
        "unlisted",
    ]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=20),
    st.sampled_from(["aten", "cuda", "float32", "*fp32", "aten.set_.source_Storage", "../../etc", "\ud800"]),
    st.lists(st.integers(-5, 5), max_size=4), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.just({"tensor": [0, [1 << 40], [1 << 40], 0, "float32"]}), st.just({"float": "0x1p+99999"}),
)  # fmt: skip


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def edited(value, path, action, junk):
    if not path:
        return junk
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if action == "replace":
        parent[path[-1]] = junk
    elif action == "delete":
        del parent[path[-1]]
    elif isinstance(parent, list):
        parent.append(junk if action == "append" else json.loads(json.dumps(parent[path[-1]])))
    else:
        parent["extra"] = junk
    return value


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_is_changed_in_a_plan_the_answer_is_a_plan_or_a_reason(data):
    value = copy.deepcopy(as_data(PLAN))
    for _ in range(data.draw(st.integers(1, 3))):
        paths = list(places(value))
        path = paths[data.draw(st.integers(0, len(paths) - 1))]
        action = data.draw(st.sampled_from(["replace", "delete", "append", "double"]))
        value = edited(value, path, action, copy.deepcopy(data.draw(JUNK)))  # `just` draws one object
    answer = validate(json.dumps(value).encode())
    if isinstance(answer, PlanError):
        assert answer.reason
    else:
        assert all(ref.end <= answer.buffers[ref.buffer].nbytes for ref in tensors_in(answer.steps))
        assert validate(encode(answer)) == answer


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3000))
def test_bytes_spliced_into_a_plan_never_raise(junk, position):
    data = encode(PLAN)
    answer = validate(data[:position] + junk + data[position:])
    assert isinstance(answer, PlanError | LaunchPlan)


@pytest.mark.parametrize("status", [Status.CHEATED])
def test_malformed_plans_say_so(status):
    answer = refused(b"{}")
    assert (answer.status, answer.reason.startswith("malformed launch plan")) == (status, True)


@pytest.mark.parametrize(
    ("params", "args", "what"),
    [
        (KERNEL.params[:2], (X, OUT), "takes 4 arguments, 2 are passed"),
        ((*KERNEL.params, Param("more", "i32")), (*LAUNCH.args, 1), "takes 4 arguments, 5 are passed"),
        ((*KERNEL.params[:2], Param("n", "i8"), KERNEL.params[3]), (X, OUT, 32, 1e-5), "takes i32 as argument 2, i8"),
        ((*KERNEL.params[:2], Param("n", "*fp32"), KERNEL.params[3]), (X, OUT, X, 1e-5), "takes i32 as argument 2"),
    ],
)
def test_what_a_launch_passes_is_what_the_kernels_text_takes(params, args, what):
    kernel, launch = replace(KERNEL, params=params), replace(LAUNCH, args=args)
    answer = refused(replace(PLAN, kernels=(kernel,), steps=(launch, *PLAN.steps[2:])))
    assert what in answer.reason
    assert answer.status is Status.CHEATED
