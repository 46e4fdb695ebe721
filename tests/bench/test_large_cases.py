"""Large cases: two of a candidate's are compared in double precision, the others with what was learned there."""

import pytest
import torch

from tritonrl_core.bench.large_cases import LARGE, LargeCases
from tritonrl_core.bench.outputs.allowance import allowance, own_error
from tritonrl_core.bench.outputs.tolerance import compare
from tritonrl_core.bench.plan.schema import Buffer, LaunchPlan, TensorRef


def plan(nbytes: int) -> LaunchPlan:
    ref = TensorRef(0, (nbytes // 4,), (1,), 0, "float32")
    buffers = (Buffer(nbytes, "input", index=0),)
    return LaunchPlan("sm_90", "3.6.0", (), buffers, (ref,), {}, (), (), (ref,), ())


def test_small_cases_are_not_counted():
    cases = LargeCases()
    assert cases.how("a", plan(LARGE)) is None
    assert cases.how("b", plan(LARGE + 4)).double


def test_the_first_two_are_in_double_precision_and_stay_so():
    cases, large = LargeCases(), plan(LARGE + 4)
    assert [cases.how(key, large).double for key in "abcab"] == [True, True, False, True, True]


def test_the_others_get_the_larger_of_what_was_measured():
    cases, large = LargeCases(), plan(LARGE + 4)
    for key, own in (("a", [[1e-7, 1e-5], None]), ("b", [[2e-7, 1e-6], None]), ("c", [[1.0, 1.0], None])):
        cases.how(key, large)
        cases.learn(key, {"own_error": own})
    assert cases.how("c", large).elsewhere == ((2e-7, 1e-5), None)


@pytest.fixture
def product() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    a, b = torch.randn(64, 512), torch.randn(512, 96)
    return a.double() @ b.double(), a @ b


def test_what_another_order_of_summation_gives_is_right_without_double_precision(product):
    exact, native = product
    own = own_error(exact, native)
    assert own is not None
    assert 0 < own[0] < own[1] < 1e-5
    assert compare([exact.float()], [native], [native], elsewhere=[own]).ok


def test_lower_precision_is_wrong_without_double_precision_too(product):
    exact, native = product
    half = (native.half()).float()
    assert not compare([half], [native], [native], elsewhere=[own_error(exact, native)]).ok


def test_an_exact_operator_is_held_to_its_elements(product):
    native = product[1].relu()
    exact = native.double()
    own = own_error(exact, native)
    assert own == (0.0, 0.0)
    zeros = native == 0
    held, free = (float(allowance(native, native, elsewhere=e)[zeros].max()) for e in (own, None))
    assert held < free / 10
    leaky = torch.where(zeros, -1e-3, native)
    assert not compare([leaky], [native], [native], elsewhere=[own]).ok
    assert compare([native.clone()], [native], [native], elsewhere=[own]).ok


@pytest.mark.parametrize("shape", [(40, 700), (9000,), (3, 5, 8)])
def test_what_is_surely_right_is_right(shape, monkeypatch):
    torch.manual_seed(1)
    exact = torch.randn(shape, dtype=torch.float64)
    native = exact.float()
    near, off = native * (1 + 2e-5), native * (1 + 1e-3)
    monkeypatch.setattr("tritonrl_core.bench.outputs.tolerance.SURE", -1.0)
    whole = {name: compare([got], [exact], [native]) for name, got in (("near", near), ("off", off))}
    monkeypatch.setattr("tritonrl_core.bench.outputs.tolerance.MANY", 1)
    quick = {name: compare([got], [exact], [native]) for name, got in (("near", near), ("off", off))}
    assert (quick["near"].ok, quick["off"].ok) == (whole["near"].ok, whole["off"].ok) == (True, False)
    assert whole["near"].error <= quick["near"].error <= 1
    assert quick["off"] == whole["off"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_never_surely_right(value, monkeypatch):
    exact = torch.ones(64, 64, dtype=torch.float64)
    exact[3, 4] = value
    native = exact.float()
    wrong = native.clone()
    wrong[5, 5] = 2.0
    monkeypatch.setattr("tritonrl_core.bench.outputs.tolerance.MANY", 1)
    assert compare([native.clone()], [exact], [native]).ok
    assert not compare([wrong], [exact], [native]).ok
