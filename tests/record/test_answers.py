"""Which numbers of a plan Python may have made of values that it read, and which not."""

import struct
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.plan.schema import AtenCall, Descriptor, Kernel, Launch, LaunchPlan, TensorRef
from tritonrl_core.bench.record.request import Arguments, RecordRequest, TensorSpec
from tritonrl_core.bench.rules.answers import Given, computed_in_python, given, with_other_values
from tritonrl_core.bench.rules.sizing import more_than_sizes
from tritonrl_core.bench.targets import gpu_for

KERNEL = Kernel("k", "k", "@k(", {}, (), {"BLOCK": 64})
FLOATS = Given([torch.tensor([1.5, -2.25])])
BOTH = Given([*FLOATS.tensors, torch.tensor([3, 5])])
OTHERS = Given([torch.tensor([4.5, 8.0])])
BOTH_OTHERS = Given([*OTHERS.tensors, torch.tensor([3, 5])])


def plan(*args, grid=(1, 1, 1), block=64, text="") -> LaunchPlan:
    kernel = replace(KERNEL, constants={"BLOCK": block}, ttir=KERNEL.ttir + text)
    return LaunchPlan("sm_90", "3.7.1", (kernel,), (), (), {}, (), (Launch(0, grid, args, line=9),), (), ())


def at(place: int) -> TensorRef:
    return TensorRef(0, (4,), (1,), place, "float32")


def tiled(size: int) -> Descriptor:
    return Descriptor(at(0), (size,), (1,), (16,), "zero")


def found(one: LaunchPlan, other: LaunchPlan) -> str:
    return computed_in_python(one, other, BOTH, BOTH_OTHERS)


def test_what_is_the_same_for_all_values_is_no_answer() -> None:
    assert found(plan(3.0, 7), plan(3.0, 7)) == ""


def test_a_value_may_be_passed_on_as_it_was_read() -> None:
    assert found(plan(-2.25), plan(8.0)) == ""


def test_a_value_that_was_chosen_by_the_values_is_an_answer() -> None:
    assert "goes into kernel k" in found(plan(1.5), plan(8.0))


def test_few_different_values_may_be_passed_on_but_spell_no_answer() -> None:
    zeros, ones = torch.tensor([0.0, 1.0] * 8), torch.tensor([0.0, 1.0, 1.0, 0.0] * 4)
    given, others = Given([zeros]), Given([ones])
    bits, other_bits = [0.0, 1.0] * 16, [1.0, 0.0] * 16
    assert "goes into kernel k" in computed_in_python(plan(*bits), plan(*other_bits), given, others)
    assert computed_in_python(plan(*bits[:4]), plan(*other_bits[:4]), given, others) == ""
    alike = Given([torch.full((40,), 2.0)]), Given([torch.full((40,), 3.0)])
    assert computed_in_python(plan(*[2.0] * 40), plan(*[3.0] * 40), *alike) == ""


def test_a_value_that_is_not_a_number_may_be_passed_on_too() -> None:
    nan = float("nan")
    assert computed_in_python(plan(nan), plan(nan), FLOATS, OTHERS) == ""
    given = Given([torch.tensor([nan, 1.0])])
    assert computed_in_python(plan(nan), plan(4.5), given, OTHERS) == ""
    assert computed_in_python(plan(nan), plan(8.0), given, OTHERS) != ""
    written = plan(text="arith.constant 0x7FC00000 : f32"), plan(text="arith.constant 4.500000e+00 : f32")
    assert computed_in_python(*written, given, OTHERS) == ""
    none = Given([torch.full((9,), nan), torch.zeros(9)]), Given([torch.full((9,), 4.0), torch.zeros(9)])
    many = [float("nan") for _ in range(20)]
    assert computed_in_python(plan(*many), plan(*[4.0] * 20), *none) == "", "one number, however often it is passed on"


def test_more_numbers_than_a_program_may_read_are_no_reading() -> None:
    given, others = Given([torch.arange(300.0)]), Given([torch.arange(300.0) + 0.5])
    one, other = plan(*given.tensors[0].tolist()), plan(*others.tensors[0].tolist())
    assert "at most 256 may" in computed_in_python(one, other, given, others)


def test_a_length_may_size_a_launch() -> None:
    one, other = plan(10, grid=(2, 1, 1)), plan(40, grid=(8, 1, 1))
    assert more_than_sizes(one, other, BOTH) == ""


def test_launches_may_differ_where_lengths_are_given() -> None:
    more = replace(plan(1), steps=plan(1).steps * 2)
    assert more_than_sizes(plan(1), more, BOTH) == ""
    assert "depends on the values" in found(plan(1), more)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plan(7.3125), plan(1.0)),
        (plan(struct.unpack("<i", struct.pack("<f", 7.3))[0]), plan(1)),
        (plan(1, block=1089051034), plan(1, block=1089051035)),
    ],
)
def test_an_answer_in_any_number_is_found(one: LaunchPlan, other: LaunchPlan) -> None:
    assert "a number that Python computed from the inputs' values goes into" in found(one, other)


def test_an_answer_beside_lengths_is_found() -> None:
    assert "goes into kernel k" in more_than_sizes(plan(7.3125), plan(1.0), BOTH)


def called(**words: object) -> LaunchPlan:
    call = AtenCall("aten.full.default", ((4,), True), {"dtype": "x", **words}, (at(0),), line=9)
    return replace(plan(), steps=(call, *plan().steps))


TWO_KERNELS = (KERNEL, replace(KERNEL, ttir="@k( ub.poison"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plan(grid=(17, 1, 1)), plan(grid=(18, 1, 1))),
        (plan(at(17)), plan(at(18))),
        (plan(tiled(17)), plan(tiled(18))),
        (plan(replace(at(0), buffer=1)), plan(at(0))),
        (called(), plan()),
        (called(memory="a"), called(memory="b")),
        (plan(text="arith.addf"), plan(text="arith.mulf")),
        (replace(plan(), outputs=(at(0),)), replace(plan(), outputs=(replace(at(0), buffer=1),))),
        (
            replace(plan(), kernels=TWO_KERNELS),
            replace(plan(), kernels=TWO_KERNELS, steps=(replace(plan().steps[0], kernel=1),)),
        ),
    ],
)
def test_nothing_but_numbers_may_depend_on_values(one: LaunchPlan, other: LaunchPlan) -> None:
    assert "what it launches depends on the values of its inputs" in found(one, other)


def test_truth_values_spell_answers_too() -> None:
    assert "goes into aten.full.default" in found(called(pin=True), called(pin=False))


@pytest.mark.parametrize("number", ["7.300000e+00", "0x40E9999A", "1089051034"])
def test_an_answer_in_a_kernels_text_is_found(number: str) -> None:
    one, other = plan(text=f"arith.constant {number} : f32"), plan(text="arith.constant 1.000000e+00 : f32")
    assert "text of kernel k" in found(one, other)


def test_a_text_may_hold_what_was_read_and_places_in_the_source() -> None:
    one, other = (plan(text=f'arith.constant {n} : f32 loc("a.py":{n[0]}:1)') for n in ("1.500000e+00", "4.500000e+00"))
    assert found(one, other) == ""
    bits = plan(text="arith.constant 0xC0100000 : f32"), plan(text="arith.constant 0x41000000 : f32")
    assert found(*bits) == ""


def test_another_length_may_be_another_block_but_no_other_number() -> None:
    one, other = plan(text="dense<0.5> : tensor<32xf32>", block=32), plan(text="dense<0.5> : tensor<64xf32>", block=64)
    assert more_than_sizes(one, other, BOTH) == ""
    answer = plan(text="dense<7.300000e+00> : tensor<32xf32>", block=32)
    assert "text of kernel k" in more_than_sizes(answer, other, BOTH)


def test_lengths_come_from_integers_and_are_few() -> None:
    assert BOTH.has_lengths
    assert not FLOATS.has_lengths
    assert not Given([torch.tensor([3, 5])]).has_lengths, "where integers are all there is, they are the data"
    one, other = plan(*range(1000)), plan(*range(1000, 2000))
    assert "no sizing" in more_than_sizes(one, other, BOTH)


def test_few_different_integers_are_a_table_too_where_there_are_many() -> None:
    bytes_of, others = [number * 7 % 256 for number in range(5000)], [number % 256 for number in range(5000)]
    assert "no sizing" in more_than_sizes(plan(*bytes_of), plan(*others), BOTH)
    padded = replace(plan(*others), steps=plan(*others).steps * 2)
    assert "no sizing" in more_than_sizes(plan(*bytes_of), padded, BOTH), "another number of launches hides nothing"
    order = [launch for number in bytes_of for launch in plan(at(number % 2)).steps]
    one = replace(plan(), steps=(*plan(at(0), at(1)).steps, *order))
    assert "no sizing" in more_than_sizes(one, plan(at(0), at(1)), BOTH)


@pytest.mark.parametrize("chosen", ["tensor", "kernel"])
def test_a_choice_of_tensors_or_kernels_is_a_table_where_there_are_many(chosen: str) -> None:
    def choices(*numbers: int) -> LaunchPlan:
        kernels = [number if chosen == "kernel" else 0 for number in numbers]
        buffers = [number if chosen == "tensor" else 0 for number in numbers]
        launches = (Launch(kernel, (1, 1, 1), (replace(at(0), buffer=buffer),), line=9)
                    for kernel, buffer in zip(kernels, buffers, strict=True))  # fmt: skip
        return replace(plan(), kernels=TWO_KERNELS, steps=tuple(launches))

    bits = [number % 2 for number in range(10_000)]
    assert "no sizing" in more_than_sizes(choices(*bits), choices(*[0] * 10_000), BOTH)
    assert more_than_sizes(choices(*bits[:100]), choices(*[0] * 100), BOTH) == ""


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
    assert "298 numbers" in more_than_sizes(long, plan(1000), BOTH)
    assert more_than_sizes(replace(long, steps=long.steps[:200]), short, BOTH) == ""
    floats = replace(short, steps=plan(7.3125).steps + short.steps)
    assert "goes into kernel k" in more_than_sizes(floats, short, BOTH)
    assert more_than_sizes(replace(short, steps=plan(1.5).steps + short.steps), short, BOTH) == ""


def test_a_kernel_for_some_lengths_alone_holds_no_table() -> None:
    table = ", ".join(f"{number / 7:.6e}" for number in range(1, 40))
    more = replace(plan(1), kernels=(*plan(1).kernels, replace(KERNEL, ttir=f"arith.constant dense<[{table}]> : x")))
    few = replace(plan(1), kernels=(*plan(1).kernels, replace(KERNEL, ttir="arith.constant 5.000000e-01 : f32")))
    assert "numbers of their own" in more_than_sizes(more, plan(1), BOTH)
    assert more_than_sizes(few, plan(1), BOTH) == ""
