"""Which numbers of a plan Python may have made of values that it read, and which not."""

import struct
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.answers import Given, computed_in_python, given, with_other_values
from tritonrl_core.bench.plan import Descriptor, Kernel, Launch, LaunchPlan, TensorRef
from tritonrl_core.bench.record_request import Arguments, RecordRequest, TensorSpec
from tritonrl_core.bench.targets import gpu_for

KERNEL = Kernel("k", "k", "@k(", {}, (), {"BLOCK": 64})
FLOATS = Given([torch.tensor([1.5, -2.25])])
BOTH = Given([*FLOATS.tensors, torch.tensor([3, 5])])


def plan(*args, grid=(1, 1, 1), block=64, text="") -> LaunchPlan:
    kernel = replace(KERNEL, constants={"BLOCK": block}, ttir=KERNEL.ttir + text)
    return LaunchPlan("sm_90", "3.7.1", (kernel,), (), (), {}, (), (Launch(0, grid, args, line=9),), (), ())


def at(place: int) -> TensorRef:
    return TensorRef(0, (4,), (1,), place, "float32")


def tiled(size: int) -> Descriptor:
    return Descriptor(at(0), (size,), (1,), (16,), "zero")


def test_what_is_the_same_for_all_values_is_no_answer() -> None:
    assert computed_in_python(plan(3.0, 7), plan(3.0, 7), FLOATS, lengths=False) == ""


def test_a_value_may_be_passed_on_as_it_was_read() -> None:
    assert computed_in_python(plan(-2.25), plan(8.0), FLOATS, lengths=False) == ""


def test_a_length_may_size_a_launch() -> None:
    one, other = plan(10, grid=(2, 1, 1)), plan(40, grid=(8, 1, 1))
    assert computed_in_python(one, other, BOTH, lengths=True) == ""


def test_launches_may_differ_where_lengths_are_given() -> None:
    more = replace(plan(1), steps=plan(1).steps * 2)
    assert computed_in_python(plan(1), more, BOTH, lengths=True) == ""
    assert "depends on the values" in computed_in_python(plan(1), more, BOTH, lengths=False)


@pytest.mark.parametrize(
    ("one", "other", "lengths"),
    [
        (plan(7.3125), plan(1.0), False),
        (plan(7.3125), plan(1.0), True),
        (plan(struct.unpack("<i", struct.pack("<f", 7.3))[0]), plan(1), False),
        (plan(1, block=1089051034), plan(1, block=1089051035), False),
        (plan(grid=(17, 1, 1)), plan(grid=(18, 1, 1)), False),
        (plan(at(17)), plan(at(18)), False),
        (plan(tiled(17)), plan(tiled(18)), False),
    ],
)
def test_an_answer_in_any_number_is_found(one: LaunchPlan, other: LaunchPlan, lengths: bool) -> None:
    found = computed_in_python(one, other, BOTH, lengths=lengths)
    assert found == "line 9: a number that Python computed from the inputs' values goes into kernel k"


@pytest.mark.parametrize("number", ["7.300000e+00", "0x40E9999A", "1089051034"])
def test_an_answer_in_a_kernels_text_is_found(number: str) -> None:
    one, other = plan(text=f"arith.constant {number} : f32"), plan(text="arith.constant 1.000000e+00 : f32")
    assert "text of kernel k" in computed_in_python(one, other, BOTH, lengths=False)


def test_a_text_may_hold_what_was_read_and_places_in_the_source() -> None:
    one, other = (plan(text=f'arith.constant {n} : f32 loc("a.py":{n[0]}:1)') for n in ("1.500000e+00", "8.000000e+00"))
    assert computed_in_python(one, other, BOTH, lengths=False) == ""
    bits = plan(text="arith.constant 0xC0100000 : f32"), plan(text="arith.constant 0x40E9999A : f32")
    assert computed_in_python(*bits, BOTH, lengths=False) == ""


def test_another_length_may_be_another_block_but_no_other_number() -> None:
    one, other = plan(text="dense<0.5> : tensor<32xf32>", block=32), plan(text="dense<0.5> : tensor<64xf32>", block=64)
    assert computed_in_python(one, other, BOTH, lengths=True) == ""
    answer = plan(text="dense<7.300000e+00> : tensor<32xf32>", block=32)
    assert "text of kernel k" in computed_in_python(answer, other, BOTH, lengths=True)


def test_lengths_come_from_integers_and_are_few() -> None:
    assert BOTH.has_lengths
    assert not FLOATS.has_lengths
    one, other = plan(*range(1000)), plan(*range(1000, 2000))
    assert "no sizing" in computed_in_python(one, other, BOTH, lengths=True)


def test_other_values_keep_the_integers() -> None:
    x, n = TensorSpec((1,), (1,), 0, "float32", 4), TensorSpec((1,), (1,), 0, "int64", 8)
    request = RecordRequest("", Arguments((), (x, n)), {}, gpu_for("sm_90"))
    mixed = with_other_values(request, struct.pack("<fq", 1.5, 3)[:4] + struct.pack("<q", 3), bytes(12))
    assert mixed == bytes(4) + struct.pack("<q", 3)


def test_values_are_cut_as_they_were_sent() -> None:
    x = TensorSpec((2,), (1,), 0, "float32", 8)
    n = TensorSpec((1,), (1,), 0, "int64", 8)
    request = RecordRequest("", Arguments((n,), (x, 4)), {"w": x}, gpu_for("sm_90"))
    cut = given(request, struct.pack("<ff", 1.5, 2.5) + struct.pack("<q", 7) + struct.pack("<ff", 3.5, 4.5))
    assert [tensor.tolist() for tensor in cut.tensors] == [[1.5, 2.5], [7], [3.5, 4.5]]
    assert cut.has_lengths
    assert cut.holds(4.5)
    assert not cut.holds(4.25)


def test_more_launches_for_other_lengths_may_not_bring_an_answer_along() -> None:
    short = plan(1)
    long = replace(plan(1), steps=tuple(step for count in range(300) for step in plan(count).steps))
    assert "298 numbers" in computed_in_python(long, plan(1000), BOTH, lengths=True)
    assert computed_in_python(replace(long, steps=long.steps[:200]), short, BOTH, lengths=True) == ""
    floats = replace(short, steps=plan(7.3125).steps + short.steps)
    assert "goes into kernel k" in computed_in_python(floats, short, BOTH, lengths=True)
    assert computed_in_python(replace(short, steps=plan(1.5).steps + short.steps), short, BOTH, lengths=True) == ""


def test_a_kernel_for_some_lengths_alone_holds_no_table() -> None:
    table = ", ".join(f"{number / 7:.6e}" for number in range(1, 40))
    more = replace(plan(1), kernels=(*plan(1).kernels, replace(KERNEL, ttir=f"arith.constant dense<[{table}]> : x")))
    few = replace(plan(1), kernels=(*plan(1).kernels, replace(KERNEL, ttir="arith.constant 5.000000e-01 : f32")))
    assert "numbers of their own" in computed_in_python(more, plan(1), BOTH, lengths=True)
    assert computed_in_python(few, plan(1), BOTH, lengths=True) == ""
