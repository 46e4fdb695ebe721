"""Which numbers of a plan Python may have made of values that it read, and which not."""

import struct
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.answers import Given, computed_in_python, given
from tritonrl_core.bench.plan import Kernel, Launch, LaunchPlan, Note
from tritonrl_core.bench.record_request import Arguments, RecordRequest, TensorSpec
from tritonrl_core.bench.targets import gpu_for

KERNEL = Kernel("k", "k", "@k(", {}, (), {"BLOCK": 64})
FLOATS = Given([torch.tensor([1.5, -2.25])])
BOTH = Given([*FLOATS.tensors, torch.tensor([3, 5])])


def plan(*args, grid=(1, 1, 1), block=64, read=()) -> LaunchPlan:
    kernel = replace(KERNEL, constants={"BLOCK": block})
    launch = Launch(0, grid, args, line=9)
    notes = tuple(Note("readback", repr(value)) for value in read)
    return LaunchPlan("sm_90", "3.7.1", (kernel,), (), (), {}, (), (launch,), (), notes)


def test_what_is_the_same_for_all_values_is_no_answer() -> None:
    assert computed_in_python(plan(3.0, 7), plan(3.0, 7), FLOATS) == ""


def test_a_value_may_be_passed_on_as_it_was_read() -> None:
    assert computed_in_python(plan(-2.25), plan(8.0), FLOATS) == ""


def test_a_length_may_size_a_launch() -> None:
    assert computed_in_python(plan(10, grid=(2, 1, 1), read=(5,)), plan(40, grid=(8, 1, 1), read=(20,)), BOTH) == ""


def test_launches_may_differ_where_lengths_are_given() -> None:
    more = replace(plan(1), steps=plan(1).steps * 2)
    assert computed_in_python(plan(1), more, BOTH) == ""
    assert "depends on the values" in computed_in_python(plan(1), more, FLOATS)


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        (plan(7.3125), plan(1.0), FLOATS),
        (plan(7.3125), plan(1.0), BOTH),
        (plan(struct.unpack("<i", struct.pack("<f", 7.3))[0]), plan(1), FLOATS),
        (plan(1, block=1089051034), plan(1, block=1089051035), FLOATS),
        (plan(grid=(17, 1, 1)), plan(grid=(18, 1, 1)), FLOATS),
        (plan(17, read=(1.5,)), plan(18, read=(2.5,)), BOTH),
    ],
)
def test_an_answer_in_any_number_is_found(one: LaunchPlan, other: LaunchPlan, values: Given) -> None:
    found = computed_in_python(one, other, values)
    assert found == "line 9: a number that Python computed from the inputs' values goes into kernel k"


def test_values_are_cut_as_they_were_sent() -> None:
    x = TensorSpec((2,), (1,), 0, "float32", 8)
    n = TensorSpec((1,), (1,), 0, "int64", 8)
    request = RecordRequest("", Arguments((n,), (x, 4)), {"w": x}, gpu_for("sm_90"))
    cut = given(request, struct.pack("<ff", 1.5, 2.5) + struct.pack("<q", 7) + struct.pack("<ff", 3.5, 4.5))
    assert [tensor.tolist() for tensor in cut.tensors] == [[1.5, 2.5], [7], [3.5, 4.5]]
    assert cut.has_integers
    assert cut.holds(4.5)
    assert not cut.holds(4.25)
