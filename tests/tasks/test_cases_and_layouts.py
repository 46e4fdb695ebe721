"""Cases that several askers share, and layouts that break every assumption about memory."""

import pytest
import torch

from tritonrl_core.bench.references.values import LAYOUTS, VALUES, lay_out, randomise_state, redistribute
from tritonrl_core.tasks import cases
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.testing import sample_task
from tritonrl_core.types import CaseRequest

FIVE = CaseRequest(count=5, shapes=True, values=True, layouts=True)


def test_the_task_as_written_is_one_case_whoever_asks() -> None:
    [alone] = make_cases(sample_task(), CaseRequest())
    assert alone in make_cases(sample_task(), FIVE)
    assert alone not in make_cases(sample_task(), CaseRequest(count=5, shapes=True, values=True, layouts=True, seed=1))


def test_seeds_never_repeat_within_a_request() -> None:
    for request in (CaseRequest(count=40), FIVE, CaseRequest(count=40, shapes=True, values=True, layouts=True)):
        seeds = [case.seed for case in make_cases(sample_task(), request)]
        assert len(set(seeds)) == request.count


def test_five_cases_take_two_signatures_and_the_hardest_layout() -> None:
    for seed in range(20):
        found = make_cases(sample_task(), CaseRequest(count=5, shapes=True, values=True, layouts=True, seed=seed))
        assert len({case.signature for case in found}) == 2
        assert {case.layout for case in found} == {"strided", "contiguous"}


def test_every_layout_is_reached_and_known_to_the_bench() -> None:
    assert set(LAYOUTS) == set(cases.LAYOUTS)
    assert set(VALUES) == set(cases.DISTRIBUTIONS)
    many = make_cases(sample_task(), CaseRequest(count=25, layouts=True))
    assert {case.layout for case in many} == set(cases.LAYOUTS)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (5, 3), (2, 5, 3), (2, 3, 4, 5), (0,), (3, 0)])
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_layout_keeps_values_and_shape(shape: tuple[int, ...], layout: str) -> None:
    tensor = torch.randn(shape)
    laid = lay_out(tensor, layout)
    assert laid.shape == tensor.shape
    if layout != "expanded":
        assert torch.equal(laid, tensor)


@pytest.mark.parametrize("shape", [(7,), (5, 3), (2, 5, 3)])
def test_strided_is_not_contiguous_not_aligned_and_beside_it_is_nan(shape: tuple[int, ...]) -> None:
    tensor = torch.randn(shape)
    laid = lay_out(tensor, "strided")
    assert laid.stride(-1) != 1
    assert all(mine != plain for mine, plain in zip(laid.stride(), tensor.stride(), strict=True))
    assert laid.storage_offset() > 0
    whole = torch.empty(0).set_(laid.untyped_storage())
    assert int(torch.isnan(whole).sum()) == whole.numel() - tensor.numel()


@pytest.mark.parametrize("shape", [(), (1,), (7,), (5, 3), (3, 5, 4), (2, 3, 4, 5), (0,), (3, 0)])
@pytest.mark.parametrize("distribution", sorted(VALUES))
def test_a_distribution_keeps_shape_and_dtype(shape: tuple[int, ...], distribution: str) -> None:
    tensor = torch.randn(shape, dtype=torch.float16)
    made = redistribute(tensor, distribution, restricted=False)
    assert (made.shape, made.dtype) == (tensor.shape, tensor.dtype)


@pytest.mark.parametrize(("shape", "over"), [((16, 40), (1,)), ((8, 16, 40), (1, 2)), ((2, 6, 9, 9), (2, 3))])
def test_bands_show_what_starts_from_zero_and_squared_means(shape: tuple[int, ...], over: tuple[int, ...]) -> None:
    made = redistribute(torch.randn(shape), "bands", restricted=False)
    least, most = made.amin(over), made.amax(over)
    assert bool((most < 0).any()), "a maximum that starts from 0"
    assert bool((least > 0).any()), "a minimum that starts from 0"
    assert bool((least == most).any()), "a deviation of 0 needs its epsilon"
    assert bool((made.mean(over) > 50 * made.std(over)).any()), "a variance by E[x²] - E[x]²"


def test_zeros_have_a_row_of_norm_zero() -> None:
    made = redistribute(torch.randn(5, 9), "zeros", restricted=False)
    assert bool((made.norm(dim=1) == 0).any())
    assert 5 < int((made == 0).sum()) < 45


def test_one_variance_is_small_enough_for_an_epsilon() -> None:
    norm = torch.nn.BatchNorm1d(8)
    randomise_state(norm)
    assert 0 < float(norm.running_var.min()) < 1e-3
    assert float(norm.running_var.max()) > 0.5
