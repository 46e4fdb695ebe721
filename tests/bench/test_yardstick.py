"""A yardstick decides as the comparison does, and of what is wrong says the same; else it says nothing."""

import math
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.outputs.tolerance import compare
from tritonrl_core.bench.outputs.yardstick import Yardstick, measured, yardstick

DRAW = torch.Generator().manual_seed(0)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.float8_e4m3fn)


def outputs(dtype: torch.dtype, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """An output in double precision and in its working dtype."""
    drawn = torch.randn(shape, dtype=torch.complex128 if dtype.is_complex else torch.float64, generator=DRAW)
    return drawn, drawn.to(dtype)


def sticks(*pairs: tuple[torch.Tensor, torch.Tensor]) -> list[Yardstick | None]:
    return [yardstick(exact, native, None, "ieee") for exact, native in pairs]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 33), (100,), (2, 3, 8)])
@pytest.mark.parametrize("value", [3.0, math.nan, math.inf])
def test_many_wrong_elements_are_told_as_the_comparison_tells_them(dtype, shape, value):
    exact, native = outputs(dtype, shape)
    got = native.clone()
    got[: max(2, shape[0] // 2)] = value
    found, full = measured([got], sticks((exact, native))), compare([got], [exact], [native])
    assert not full.ok
    assert str(found) == str(full)  # as text, because NaN does not equal itself


def test_values_in_another_order_are_told():
    exact, native = outputs(torch.float32, (40, 40))
    found = measured([native.T.contiguous()], sticks((exact, native)))
    assert found is not None
    assert found.facts["permuted"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_right_outputs_are_right_by_no_larger_error(dtype):
    exact, native = outputs(dtype, (64, 33))
    found, full = measured([native.clone()], sticks((exact, native))), compare([native.clone()], [exact], [native])
    assert found is not None
    assert full.ok
    assert found.ok
    assert found.error <= full.error


def test_few_wrong_elements_are_left_to_the_comparison():
    exact, native = outputs(torch.float32, (64, 33))
    got = native.clone()
    got[3, :20] = 7  # fewer than one in 64: they may be steps, which the reference would be asked about
    assert measured([got], sticks((exact, native))) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("there", [math.nan, math.inf, 1e30])
def test_one_element_that_is_no_number_is_told_without_facts_whatever_the_reference_gives_nearby(value, there):
    exact, native = outputs(torch.float16, (64, 33))
    got, near = native.clone(), exact.clone()
    got[3, 20], near[3, 20] = value, there
    found = measured([got], sticks((exact, native)), facts=False)
    full = compare([got], [exact], [native], nearby=lambda: [[near], [exact], [near], [-near]])
    assert found is not None
    assert str(found) == str(replace(full, facts={}))
    assert measured([got], sticks((exact, native))) is None


def test_what_two_numbers_an_element_do_not_tell_has_no_yardstick():
    whole = torch.arange(8)
    assert sticks((whole, whole)) == [None]
    exact, native = outputs(torch.float32, (8, 8))
    exact[1, 1] = native[1, 1] = math.inf
    assert sticks((exact, native)) == [None]
    half = torch.full((4,), 1e6, dtype=torch.float64)  # infinite in half precision
    assert sticks((half, half.half())) == [None]
    assert sticks((exact[:0], native[:0])) == [None]


def test_of_several_outputs_the_worst_is_told_and_none_where_one_is_not_known():
    pairs = [outputs(torch.float32, (8, 20)), outputs(torch.float32, (30,))]
    got = [pairs[0][1] * 1.1, pairs[1][1] * 2]
    exact, native = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = measured(got, sticks(*pairs))
    assert found == compare(got, exact, native)
    assert found is not None
    assert found.worst is not None
    assert found.worst.output == 1
    assert "output 1 of 2" in found.reason
    assert measured(got, [sticks(pairs[0])[0], None]) is None


def test_the_candidate_s_output_stays_as_it_is():
    exact, native = outputs(torch.float64, (8, 20))
    got = native * 2
    kept = got.clone()
    assert measured([got], sticks((exact, native))) is not None
    assert torch.equal(got, kept)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_single_number_is_told_as_well(factor):
    exact, native = outputs(torch.float32, ())
    found = measured([native * factor], sticks((exact, native)))
    assert found is None if factor > 1 else found is not None and found.ok  # one wrong element may be a step


def test_without_facts_only_the_facts_are_left_out():
    exact, native = outputs(torch.float32, (64, 33))
    full, short = (measured([native * 2], sticks((exact, native)), facts=facts) for facts in (True, False))
    assert full is not None
    assert full.facts
    assert short == replace(full, facts={})
