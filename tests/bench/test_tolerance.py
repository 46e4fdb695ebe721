"""The comparison: right results in any honest order pass, one wrong element fails, zeros never pass."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tritonrl_core.bench.outputs.allowance import MOST, allowance
from tritonrl_core.bench.outputs.tolerance import compare, underflows
from tritonrl_core.bench.outputs.yardstick import measured, yardstick
from tritonrl_core.types import InputCase, Task

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
TASK = Task(id="t", level=1, source="")
seeds = st.integers(0, 2**31)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def judge(got, exact, native=None, **options):
    native = exact.to(got.dtype) if native is None else native
    return compare([got], [exact], [native], TASK, **options)


def sequential_sum(x):
    total = torch.zeros(x.shape[:-1], dtype=x.dtype)
    for k in range(x.shape[-1]):
        total = total + x[..., k]
    return total


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rows=st.integers(1, 40), length=st.sampled_from([3, 64, 1000, 5000]), offset=st.sampled_from([0, 3]))
def test_sums_in_the_most_unlike_order_pass(seed, rows, length, offset):
    x = torch.randn(rows, length, generator=generator(seed)) + offset
    result = judge(sequential_sum(x), x.double().sum(-1), x.sum(-1))
    assert result.ok, result


@settings(max_examples=25, deadline=None)
@given(seed=seeds, m=st.integers(1, 40), n=st.integers(1, 40), k=st.sampled_from([1, 16, 500, 2000]))
def test_products_in_another_order_pass(seed, m, n, k):
    g = generator(seed)
    a, b = torch.randn(m, k, generator=g), torch.randn(k, n, generator=g)
    blocks = sum((a[:, i : i + 16] @ b[i : i + 16] for i in range(0, k, 16)), torch.zeros(m, n))
    assert judge(blocks, a.double() @ b.double(), a @ b).ok


@settings(max_examples=20, deadline=None)
@given(seed=seeds, dtype=st.sampled_from(FLOATS), scale=st.sampled_from([2.0**-10, 1.0, 30.0]))
def test_softmax_by_exp2_and_another_order_passes(seed, dtype, scale):
    x = (torch.randn(17, 300, generator=generator(seed)) * scale).to(dtype)
    y = x.float() - x.float().amax(-1, keepdim=True)
    p = torch.exp2(y * (1 / math.log(2)))
    got = (p / sequential_sum(p)[:, None]).to(dtype)
    assert judge(got, x.double().softmax(-1), x.softmax(-1)).ok


def in_blocks(a, b, size=4):
    """A product in single precision, whose terms come in another order, some at a time."""
    order = torch.randperm(a.shape[-1], generator=generator(5))
    total = torch.zeros(a.shape[0], b.shape[1])
    for part in order.split(size):
        total = total + a[:, part] @ b[part]
    return total


AFTER_A_PRODUCT = {
    "relu": torch.relu,
    "shifted relu": lambda y: torch.relu(y - 60),
    "pool": lambda y: torch.nn.functional.max_pool1d(torch.relu(y)[None], 2)[0],
    "tanh": lambda y: torch.tanh(y / 2),
    "clamp": lambda y: y.clamp(-1, 1),
    "sharp softmax": lambda y: (4 * y).softmax(-1),
}


@pytest.mark.parametrize("name", AFTER_A_PRODUCT)
def test_clipped_and_saturated_rows_pass_in_another_order(name):
    """Such rows have almost no scale or error of their own; that of the whole tensor counts there."""
    function = AFTER_A_PRODUCT[name]
    for seed in range(4):
        g = generator(seed)
        a, b = torch.randn(600, 576, generator=g), torch.randn(576, 96, generator=g)
        a[:300] -= 0.2 * b.sum(1).sign()  # rows that lie far below zero, up to a few elements
        result = judge(function(in_blocks(a, b)), function(a.double() @ b.double()), function(a @ b))
        assert result.ok, (seed, result)
        assert result.error < 0.6


def test_a_channel_that_cancels_passes_in_another_order():
    """On constant inputs a channel's outputs are all one sum, here next to zero; the reference may hit it by luck."""
    for seed in range(6):
        weights = torch.randn(128, 576, generator=generator(seed)) / 24
        weights[3, 0] -= weights[3].double().sum().float() - 5e-4
        x = torch.full((576, 200), -0.75)
        native = (weights.double() @ x.double()).float()
        result = judge(in_blocks(weights, x, 2), weights.double() @ x.double(), weights @ x)
        assert result.ok, result
        assert result.error < 0.5
        native[3] *= 1.1
        assert not judge(native, weights.double() @ x.double(), weights @ x).ok


@pytest.mark.parametrize("function", [torch.reciprocal, torch.exp, lambda x: torch.exp(4 * x)])
def test_one_large_element_excuses_no_other(function):
    """Where the error grows with the element, the largest says nothing of what the others may be off by."""
    x = torch.randn(300, 64, generator=generator(6))
    exact, native = function(x.double()), function(x)
    row = int(exact.abs().amax(-1).argmin())
    got = native.clone()
    got[row, int(exact[row].abs().argmax())] *= 1.003
    assert not judge(got, exact, native).ok


def test_the_largest_error_of_a_loud_row_does_not_hide_a_forgotten_bias_in_a_quiet_one():
    g = generator(7)
    a, b = torch.randn(200, 256, generator=g), torch.randn(256, 64, generator=g)
    a[:20] *= 2.0**8
    exact, native = a.double() @ b.double(), a @ b
    assert judge(in_blocks(a, b), exact, native).ok
    got = in_blocks(a, b)
    got[150] += 0.05
    result = judge(got, exact, native)
    assert not result.ok
    assert result.worst is not None
    assert result.worst.index[0] == 150


@settings(max_examples=50, deadline=None)
@given(seed=seeds, dtype=st.sampled_from(FLOATS), shape=st.sampled_from([(50,), (7, 9), (4, 33), (1,), (2, 3, 20)]))
def test_rounding_the_exact_result_passes(seed, dtype, shape):
    exact = torch.randn(shape, generator=generator(seed), dtype=torch.float64)
    assert judge(exact.to(dtype), exact).ok


@settings(max_examples=50, deadline=None)
@given(seed=seeds, shape=st.sampled_from([(50,), (7, 9), (4, 33), (1,)]), exact_operator=st.booleans())
def test_one_element_off_by_a_thousandth_fails(seed, shape, exact_operator):
    g = generator(seed)
    exact = torch.randn(shape, generator=g, dtype=torch.float64)
    if exact_operator:
        exact = exact.float().double()
    got = exact.float()
    place = int(exact.abs().argmax()) if not exact_operator else int(torch.randint(exact.numel(), (), generator=g))
    got.view(-1)[place] *= 1 + 1e-3
    result = judge(got, exact)
    if exact_operator and exact.abs().view(-1)[place] < 0.01:
        return  # 10⁻³ of next to nothing is less than the rounding of zeros
    assert not result.ok
    assert result.worst is not None
    assert result.worst.index == tuple(torch.unravel_index(torch.tensor(place), shape))


@settings(max_examples=50, deadline=None)
@given(
    seed=seeds,
    dtype=st.sampled_from(FLOATS),
    shape=st.sampled_from([(1,), (50,), (7, 9), (4, 33)]),
    exponent=st.integers(-12, 12),
    noise=st.floats(0, 10),
    where=st.sampled_from(["all", "one", "row"]),
)
def test_zeros_never_pass_where_something_is_expected(seed, dtype, shape, exponent, noise, where):
    g = generator(seed)
    exact = torch.randn(shape, generator=g, dtype=torch.float64) * 2.0**exponent
    if where == "one":
        exact.view(-1)[1:] = 0
    if where == "row":
        exact[1:] = 0
    native = (exact * (1 + noise * torch.randn(shape, generator=g, dtype=torch.float64))).to(dtype)
    assert not judge(torch.zeros(shape, dtype=dtype), exact, native).ok


def test_lower_precision_inside_fails():
    g = generator(0)
    a, b = torch.randn(64, 256, generator=g), torch.randn(256, 64, generator=g)
    exact, native = a.double() @ b.double(), a @ b
    truncated = [(x.view(torch.int32) & ~0x1FFF).view(torch.float32) for x in (a, b)]  # TF32 keeps 10 bits
    for low in (truncated[0] @ truncated[1], (a.bfloat16() @ b.bfloat16()).float(), (a.half() @ b.half()).float()):
        assert not judge(low, exact, native).ok
    assert judge(truncated[0] @ truncated[1], exact, native, precision="tf32").ok
    assert not judge((a.bfloat16() @ b.bfloat16()).float(), exact, native, precision="tf32").ok


def test_a_small_row_beside_a_large_one_is_still_looked_at():
    exact = torch.ones(2, 64, dtype=torch.float64)
    exact[0] *= 1e6
    got = exact.float()
    got[1, 5] = 1.001
    result = judge(got, exact)
    assert not result.ok
    assert "output[1, 5] is 1.001, expected 1 ±" in result.reason


def test_half_precision_intermediates_as_the_reference_has_them_pass():
    x = torch.randn(30, 200, generator=generator(1)).half()
    exact = (x.double() * x.double().sigmoid() + 1).tanh()
    native = (x * x.sigmoid() + 1).tanh()
    assert judge(native, exact, native).ok
    assert judge(exact.half(), exact, native).ok


def test_rounding_across_zero_passes():
    """ReLU of a sum that is zero up to rounding: the reference has 0 there, a candidate 10⁻⁸."""
    exact = torch.randn(8, 64, generator=generator(2), dtype=torch.float64).relu()
    got = exact.float()
    got[exact == 0] = 1e-8
    assert judge(got, exact).ok


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_element_in_a_finite_output_fails(bad):
    exact = torch.randn(40, dtype=torch.float64)
    got = exact.float()
    got[7] = bad
    result = judge(got, exact)
    assert not result.ok
    assert result.error == math.inf
    assert result.worst is not None
    assert result.worst.index == (7,)


def test_non_finite_elements_must_stand_where_the_reference_has_them():
    exact = torch.randn(40, dtype=torch.float64)
    exact[3], exact[4], exact[5] = float("nan"), float("inf"), -float("inf")
    assert judge(exact.float(), exact).ok
    for place, value in [(3, 0.0), (4, -float("inf")), (4, 1e30), (5, float("nan"))]:
        got = exact.float()
        got[place] = value
        assert not judge(got, exact).ok


def test_overflow_of_half_precision_is_right_either_way():
    exact = torch.tensor([1e6, 2.0], dtype=torch.float64)
    infinite = torch.tensor([float("inf"), 2.0], dtype=torch.float16)
    assert judge(infinite, exact, infinite).ok
    exact = torch.tensor([3e4, 2.0], dtype=torch.float64)
    assert judge(exact.half(), exact, infinite).ok  # the reference overflows inside, the candidate does not
    assert not judge(torch.tensor([1.0, 2.0], dtype=torch.float16), exact, infinite).ok


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.bool, torch.uint8])
def test_integers_must_be_equal(dtype):
    value = torch.tensor([0, 1, 1, 0]).to(dtype)
    other = torch.tensor([0, 1, 0, 0]).to(dtype)
    assert compare([value], [value], [value]).ok
    result = compare([other], [value], [value])
    assert not result.ok
    assert result.reason == "output[2] is 0, expected 1 ± 0"


@pytest.mark.parametrize(
    ("got", "reason"),
    [
        ([], "0 outputs instead of 1"),
        ([torch.zeros(3), torch.zeros(3)], "2 outputs instead of 1"),
        ([torch.zeros(1, 3)], "output has shape [1, 3] instead of [3]"),
        ([torch.zeros(3).half()], "output has dtype float16 instead of float32"),
    ],
)
def test_number_shape_and_dtype_must_agree(got, reason):
    expected = [torch.zeros(3)]
    result = compare(got, expected, expected)
    assert (result.ok, result.error, result.reason) == (False, None, reason)


def test_without_a_double_precision_reference_sums_in_another_order_pass_and_mistakes_do_not():
    x = torch.randn(20, 5000, generator=generator(8))
    native = x.sum(-1)
    right = sequential_sum(x)
    assert judge(right, native, native).ok
    assert not judge(x[:, :-1].sum(-1), native, native).ok
    assert not judge(torch.zeros(20), native, native).ok


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_a_step_may_fall_on_either_side_where_the_deciding_value_lies_on_the_edge(dtype):
    values = torch.linspace(0, 9.99, 800, dtype=torch.float64).reshape(8, 100)
    values[3, 5] = 4.0 - 1e-8
    exact = values.floor().to(dtype)
    got = exact.clone()
    got[3, 5] = 4
    nearby = [[(values * (1 + off)).floor().to(dtype).double()] for off in (5e-7, -5e-7)]
    assert not compare([got], [exact.double()], [exact]).ok
    assert compare([got], [exact.double()], [exact], nearby=lambda: nearby).ok
    got[3, 5] = 5
    assert not compare([got], [exact.double()], [exact], nearby=lambda: nearby).ok
    got[3, 5], got[6, 40] = 4, exact[6, 40] + 1
    assert not compare([got], [exact.double()], [exact], nearby=lambda: nearby).ok


def test_what_is_left_of_larger_numbers_may_be_off_as_nearby_inputs_take_it_to_both_sides():
    exact = torch.zeros(1, 64, dtype=torch.float64)
    exact[0, :3] = torch.tensor([0.5, 0.4, 8e-4])
    off = torch.zeros_like(exact)
    off[0, 2] = 9e-7
    up, down, native, got = exact + off, exact - off, exact.float(), (exact - off / 4).float()
    assert not compare([got], [exact], [native]).ok
    assert compare([got], [exact], [native], nearby=lambda: [[up], [down]]).ok
    assert not compare([got], [exact], [native], nearby=lambda: [[up], [exact]]).ok, "a step lies on one side"
    assert not compare([got - 2e-6], [exact], [native], nearby=lambda: [[up], [down]]).ok


def test_nearby_inputs_are_not_asked_for_where_it_cannot_matter():
    def never():
        raise AssertionError("asked for")

    exact = torch.randn(40, 64, dtype=torch.float64, generator=generator(9))
    native = exact.float()
    assert compare([native], [exact], [native], nearby=never).ok
    assert not compare([native + 1], [exact], [native], nearby=never).ok
    assert not compare([native + 1], [exact], [native], criterion="kernelbench", nearby=never).ok


def test_the_worst_output_is_named():
    right, wrong = torch.ones(4), torch.tensor([1.0, 1.0, 1.5, 1.0])
    result = compare([right, wrong], [right.double()] * 2, [right] * 2)
    assert result.reason.startswith("output 1 of 2[2] is 1.5, expected 1 ±")


def test_outputs_without_elements_and_scalars():
    assert compare([torch.zeros(0, 3)], [torch.zeros(0, 3).double()], [torch.zeros(0, 3)]).ok
    assert compare([], [], []).ok
    assert not judge(torch.tensor(1.001), torch.tensor(1.0, dtype=torch.float64)).ok


def test_the_kernelbench_criterion_is_allclose():
    exact = torch.randn(100, generator=generator(3), dtype=torch.float64)
    native = exact.float()
    near, far = native * (1 + 5e-5), native * (1 + 1e-3) + 1e-3
    assert judge(near, exact, native, criterion="kernelbench").ok == torch.allclose(near, native, 1e-4, 1e-4) is True
    assert judge(far, exact, native, criterion="kernelbench").ok == torch.allclose(far, native, 1e-4, 1e-4) is False
    assert judge(native.half() * 1.005, exact, native.half(), criterion="kernelbench").ok
    nan = torch.full((3,), float("nan"))
    assert not judge(nan, nan.double(), nan, criterion="kernelbench").ok
    with pytest.raises(ValueError, match="criterion"):
        compare([], [], [], criterion="other")


def test_a_tasks_own_tolerance_replaces_the_derived_one():
    exact = torch.randn(100, generator=generator(3), dtype=torch.float64)
    got = (exact * 1.005).float()
    assert not judge(got, exact).ok
    assert compare([got], [exact], [exact.float()], Task(id="t", level=1, source="", tolerance=1e-2)).ok


def test_no_allowance_reaches_a_quarter_of_the_output():
    exact = torch.randn(5, 40, generator=generator(4), dtype=torch.float64)
    native = torch.zeros(5, 40)
    assert float(allowance(exact, native).max()) == pytest.approx(MOST * float(exact.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_result_that_underflows_may_be_zero_and_one_that_does_not_may_not(dtype):
    info = torch.finfo(dtype)
    least = info.smallest_normal * info.eps
    below = torch.full((4, 32), least * 1e-3, dtype=torch.float64)
    zeros = torch.zeros(4, 32, dtype=dtype)
    assert compare([zeros], [below], [below.to(dtype)]).ok
    above = torch.full((4, 32), least * 64, dtype=torch.float64)
    assert not compare([zeros], [above], [above.to(dtype)]).ok


def test_where_all_underflows_zeros_pass_but_not_on_the_references_own_values() -> None:
    """Seen: a sigmoid on a constant input, as 1/(1 + ∞) in torch's float32 too; the exact result is 5.8·10⁻⁴³."""
    x = torch.full((64, 16), -97.25)
    exact, native = torch.sigmoid(x.double()), torch.sigmoid(x)
    usual = 1 / (1 + torch.exp(-x))
    assert not usual.any()
    for distribution, passes in (("constant", True), ("normal", False)):
        case = InputCase("it", 0, distribution=distribution)
        stick = yardstick(exact, native, None, "ieee", underflows(case))
        assert compare([usual], [exact], [native], case=case).ok is passes
        assert measured([usual], [stick]).ok is passes
        assert not compare([torch.full_like(x, 1e-30)], [exact], [native], case=case).ok
        small = torch.full_like(x, 1e-6)
        assert not compare([usual.half()], [small.double()], [small.half()], case=case).ok


@pytest.mark.parametrize(
    ("point", "shape"),
    [
        (lambda x: x.argmax(1), (4, 9)),
        (lambda x: x.argmin(0, keepdim=True), (4, 9)),
        (lambda x: x.argmax().reshape(1), (4, 9)),
        (lambda x: x.argsort(1), (4, 9)),
        (lambda x: x.topk(3, 1).indices, (4, 9)),
    ],
)
def test_an_index_may_point_to_another_equal_value(point: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator)
    constant = torch.ones(shape)
    expected, other = point(constant), point(constant.flip(1)) * 0 + point(x)
    if expected.shape[-1] == 9:
        other = expected.flip(1)
    assert compare([other], [expected], [expected], inputs=[constant]).ok
    assert not compare([other], [expected], [expected]).ok or bool((other == expected).all())
    wrong = (point(x) + 1) % 9
    assert not compare([wrong], [point(x)], [point(x)], inputs=[x]).ok
    assert not compare([expected + 36], [expected], [expected], inputs=[constant]).ok


def test_integers_that_are_no_indices_must_be_equal() -> None:
    x = torch.zeros(6, 8)
    count = torch.full((6,), 5)
    x[:, 0] = 1.0
    x[:, 1] = -1.0
    assert not compare([count + 1], [count], [count], inputs=[x]).ok


def test_of_equal_values_an_order_may_name_either_first_but_none_twice():
    x = torch.tensor([[2.0, 1.0, 2.0, 0.0]])
    order, other, twice = torch.tensor([[0, 2, 1]]), torch.tensor([[2, 0, 1]]), torch.tensor([[2, 2, 1]])
    assert judge(other, order, order, inputs=[x]).ok
    assert not judge(twice, order, order, inputs=[x]).ok
