"""Facts about a wrong output."""

import pytest
import torch

from tritonrl_core.bench.interpret.memory import POISONS
from tritonrl_core.bench.outputs.mismatch import mismatch_facts, shape_facts


def test_where_the_wrong_elements_lie() -> None:
    expected = torch.arange(1.0, 41).reshape(4, 10)
    got = expected.clone()
    got[1:, 8:] = 0
    facts = mismatch_facts(got, expected, got != expected)
    assert (facts["wrong"], facts["elements"], facts["first"], facts["last"]) == (6, 40, 18, 39)
    assert facts["box"] == [[1, 4], [8, 10]]
    assert (facts["permuted"], facts["largest_error"]) == (False, 1.0)


def test_right_values_in_wrong_places() -> None:
    expected = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    got = expected.t().contiguous()
    assert mismatch_facts(got, expected, got != expected)["permuted"] is True
    near = expected + 1e-5
    assert mismatch_facts(near, expected, near != expected)["permuted"] is False


def test_what_is_not_finite_has_no_size() -> None:
    expected = torch.ones(3)
    got = torch.tensor([1.0, float("nan"), 1.0])
    facts = mismatch_facts(got, expected, torch.isnan(got))
    assert (facts["largest_error"], facts["permuted"], facts["box"]) == (None, False, [[1, 2]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_was_never_written_holds_the_poison(dtype: torch.dtype) -> None:
    expected = torch.ones(6, dtype=dtype)
    got = torch.full((6 * dtype.itemsize,), POISONS[0], dtype=torch.uint8).view(dtype)
    got[:3] = torch.tensor([1.0, float("nan"), 2.0])
    assert mismatch_facts(got, expected, got != expected)["unwritten"] == 3
    assert mismatch_facts(got[1:3], expected[1:3], got[1:3] != expected[1:3])["unwritten"] == 0
    integers = torch.tensor([-1, 1])
    assert mismatch_facts(integers, integers * 0, integers != 0)["unwritten"] == 0


def test_a_scalar_and_integers() -> None:
    facts = mismatch_facts(torch.tensor(2), torch.tensor(1), torch.tensor(True))
    assert (facts["shape"], facts["box"], facts["first"], facts["largest_error"]) == ([], [], 0, 1.0)


def test_another_shape() -> None:
    assert shape_facts([(2,), (3, 1)], [(2,), (3,)]) == {"shape": [3, 1], "expected_shape": [3]}
    assert shape_facts([(2,)], [(2,)]) == shape_facts([(2,)], []) == {}
