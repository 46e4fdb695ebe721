"""Text that is no TTIR, or hostile, is refused with a word; nothing is executed and nothing hangs."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonrl_core.bench.machine import launch as machine
from tritonrl_core.bench.machine.memory import Segment
from tritonrl_core.bench.plan.schema import Kernel, Param, TensorRef
from tritonrl_core.bench.plan.ttir_text import Type, UnknownTextError, read, split_types, type_of
from tritonrl_core.bench.plan.ttir_values import values_of

KERNEL = """
module {
  tt.func public @k(%arg0: !tt.ptr<f32> {tt.divisibility = 16 : i32}, %arg1: i32) attributes {noinline = false} {
    %cst = arith.constant dense<0.000000e+00> : tensor<16xf32>
    %0 = tt.make_range {end = 16 : i32, start = 0 : i32} : tensor<16xi32>
    %1 = tt.splat %arg1 : i32 -> tensor<16xi32>
    %2 = arith.cmpi slt, %0, %1 : tensor<16xi32>
    %3 = tt.splat %arg0 : !tt.ptr<f32> -> tensor<16x!tt.ptr<f32>>
    %4 = tt.addptr %3, %0 : tensor<16x!tt.ptr<f32>>, tensor<16xi32>
    %5 = tt.load %4, %2, %cst : tensor<16x!tt.ptr<f32>>
    %6 = "tt.reduce"(%5) <{axis = 0 : i32}> ({
    ^bb0(%arg2: f32, %arg3: f32):
      %8 = arith.addf %arg2, %arg3 : f32
      tt.reduce.return %8 : f32
    }) : (tensor<16xf32>) -> f32
    %7 = tt.splat %6 : f32 -> tensor<16xf32>
    tt.store %4, %7, %2 : tensor<16x!tt.ptr<f32>>
    tt.return
  }
}
"""
PARAMS = (Param("p", "*fp32"), Param("n", "i32"))
REF = TensorRef(0, (16,), (1,), 0, "float32")


def run(text, name="k", args=(REF, 9)):
    data = np.arange(16, dtype=np.float32).view(np.uint8).copy()
    machine.run(Kernel(name, name, text, {}, PARAMS), (2, 1, 1), args, lambda number: Segment(4096, data))
    return data.view(np.float32)


def test_the_text_is_carried_out():
    total = sum(range(9))
    second = 9 * total  # the second program sees what the first has left
    assert run(KERNEL)[:9].tolist() in ([total] * 9, [second] * 9)
    assert run(KERNEL)[9:].tolist() == list(range(9, 16))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("%arg0: !tt", "%arg9: !tt"), "%arg0 is used and not defined"),
        (("%6 = \"tt", "%6:3 = \"tt"), "the results of tt.reduce"),
        (("    tt.return\n  }\n}", ""), "the text ends inside a function"),
        (("%0 = tt.make_range", "%0, %9 = tt.make_range"), "the results of"),
        (("^bb0(", "^("), "a block"),
        (("@k(", "@other("), "is not in its text"),
        (("tt.store %4", "tt.no_such_thing %4"), "`tt.no_such_thing`"),
        (("arith.addf", "arith.no_such"), "`arith.no_such`"),
        (("{axis = 0 : i32}", "{}"), "without axis"),
        (("xf32>\n    %0", "xf7>\n    %0"), "f7"),
    ],
)
def test_what_is_not_understood_is_said(change, reason):
    with pytest.raises(machine.FAILURES, match=reason):
        run(KERNEL.replace(*change))


def test_too_few_parameters_are_said():
    with pytest.raises(machine.FAILURES):
        run(KERNEL, args=(REF,))
    with pytest.raises(machine.FAILURES, match="fewer parameters"):
        run(KERNEL.replace(", %arg1: i32", "").replace("tt.splat %arg1", "tt.splat %cst"), args=(REF, 9))


def test_deep_nesting_is_refused():
    opened = "scf.if %c {\n" * 200
    with pytest.raises(UnknownTextError, match="nested too deeply"):
        read(f"tt.func public @k(%c: i1) attributes {{noinline = false}} {{\n{opened}")


def test_a_function_that_calls_itself_ends():
    text = KERNEL.replace("    tt.return", "    tt.call @k(%arg0, %arg1) : (!tt.ptr<f32>, i32) -> ()\n    tt.return")
    with pytest.raises(RecursionError):
        run(text)


LINES = KERNEL.splitlines()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1)), max_size=6), st.data())
def test_any_shuffle_of_lines_is_carried_out_or_refused(swaps, data):
    lines = list(LINES)
    for one, other in swaps:
        lines[one], lines[other] = lines[other], lines[one]
    place = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[place])))
    lines[place] = lines[place][:cut]
    try:
        run("\n".join(lines))
    except machine.FAILURES:
        return


@given(st.text(max_size=80))
def test_any_text_is_a_type_or_refused(text):
    try:
        type_of(text)
        split_types(text)
    except (ValueError, IndexError, RecursionError):
        return


def test_types():
    assert type_of("tensor<16x8x!tt.ptr<f32>>") == Type("ptr", (16, 8), "f32")
    assert type_of("!tt.ptr<bf16>") == Type("ptr", (), "bf16")
    for written in ("!tt.tensordesc<tensor<16x32xf16>>", "<tensor<16x32xf16>>"):
        assert type_of(written) == type_of(written.replace("tensor<", "").replace(">>", ">"))  # as Triton 3.9 writes it
        assert type_of(written) == Type("desc", (16, 32), "f16")
    assert type_of("tensor<4xi1>").count == 4
    parts = ["tensor<4xf32>", "(i32, i1) -> f32", "!tt.ptr<f32>"]
    assert split_types(", ".join(parts)) == parts


FRAME = "tt.func public @k(%a: i32) attributes {{noinline = false}} {{\n{}    tt.return\n  }}\n"
HOSTILE = {
    "results without end": FRAME.format("    %0:999999999 = tt.x %a : i32\n"),
    "a reduction's results without end": FRAME.format('    %0:999999999 = "tt.reduce"(%a) <{axis = 0 : i32}> ({\n'),
    "a number without end": FRAME.format(f"    %0:{'9' * 5000} = tt.x %a : i32\n"),
    "a type without end": FRAME.format(f"    %0 = tt.x %a : {'x' * 500}\n"),
    "brackets without end": "tt.func public @k(" + ") -> (x" * 100_000 + "\n",
    "twice the same name": 2 * FRAME.format(""),
    "one inside the other": FRAME.format("tt.func private @other() {\n"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_at_once(text):
    began = time.process_time()
    with pytest.raises(UnknownTextError):
        read(text)
    assert time.process_time() - began < 1.0


def test_conditions_of_branches_do_not_pile_up():
    text = FRAME.replace("i32", "i1").format("    cf.cond_br %a, ^bb1, ^bb1\n" * 5000 + "  ^bb1:\n")
    values = values_of(read(text)["k"])
    assert max(len(conditions) for _, conditions in values.operations) == 1
    assert len(values.chosen) == 4999  # each was asked because of the one before
