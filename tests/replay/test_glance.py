"""What is told at a glance is what the comparison says; where it is not told, nothing is claimed."""

import math
from dataclasses import replace

import pytest
import torch

from tritonrl_core.bench.outputs.glance import NUMBERS, plainly_right, worst_elements
from tritonrl_core.bench.outputs.tolerance import Comparison, compare

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8, torch.bool,
          torch.complex64, torch.float8_e4m3fn)  # fmt: skip


def glance(got: list[torch.Tensor], exact: list[torch.Tensor], native: list[torch.Tensor]) -> Comparison | None:
    numbers = worst_elements(got, exact, native, None, "ieee")
    if numbers is None:
        return None
    assert numbers.shape == (NUMBERS * len(native),)
    return plainly_right(numbers.tolist(), native)


def outputs(dtype: torch.dtype, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """An output in double precision and in its working dtype."""
    drawn = torch.randn(shape, dtype=torch.complex128 if dtype.is_complex else torch.float64, generator=DRAW)
    if dtype.is_complex or dtype.is_floating_point:
        return drawn, drawn.to(dtype)
    exact = (3 * drawn).round().to(dtype)
    return exact, exact


DRAW = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64, 33), (5,), (), (2, 3, 8)])
def test_a_right_output_is_told_as_the_comparison_tells_it(dtype, shape):
    exact, native = outputs(dtype, shape)
    found, full = glance([native.clone()], [exact], [native]), compare([native.clone()], [exact], [native])
    assert full.ok
    if dtype not in (torch.float16, torch.bfloat16, torch.float8_e4m3fn):  # whose rounding may be more than a part
        assert found is not None
    if found is not None:
        assert (found.ok, found.error, found.worst) == (full.ok, full.error, full.worst)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_wrong_is_plainly_right(dtype):
    exact, native = outputs(dtype, (16, 32))
    wrong = native.clone()
    wrong[3, 4] = ~wrong[3, 4] if dtype is torch.bool else torch.tensor(7.0).to(dtype)
    assert glance([wrong], [exact], [native]) is None
    for value in (math.nan, math.inf) if dtype.is_floating_point else ():
        wrong[3, 4] = value
        assert glance([wrong], [exact], [native]) is None
        for there in (exact, native):
            there[3, 4] = value
        assert glance([native.clone()], [exact], [native]) is None  # right, but not plainly
        exact, native = outputs(dtype, (16, 32))


def test_of_several_outputs_the_worst_is_told():
    pairs = [outputs(torch.float32, (8, 20)), outputs(torch.int64, (4,)), outputs(torch.float32, (30,))]
    exact, native = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    got = [tensor.clone() for tensor in native]
    got[2][7] *= 1 + 4 * torch.finfo(torch.float32).eps
    found, full = glance(got, exact, native), compare(got, exact, native)
    assert found is not None
    assert found == replace(full, facts=found.facts)
    assert (found.worst.output, found.worst.index) == (2, (7,))
    got[1][0] += 1
    assert glance(got, exact, native) is None


def test_other_shapes_dtypes_and_empty_outputs_are_not_told():
    exact, native = outputs(torch.float32, (4, 4))
    assert glance([native[:2]], [exact], [native]) is None
    assert glance([native.double()], [exact], [native]) is None
    assert glance([native[:0]], [exact[:0]], [native[:0]]) is None
    assert glance([], [], []) is None
