"""Which views of an output leave work to whoever reads them."""

import pytest
import torch

from tritonrl_core.bench.plan.schema import LaunchPlan, TensorRef, apart
from tritonrl_core.bench.rules.lazy_outputs import in_order, left_to_the_reader


def plan(tensor: torch.Tensor) -> LaunchPlan:
    ref = TensorRef(0, tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), "float32")
    return LaunchPlan("sm_90", "3.7.1", (), (), (), {}, (), (), (ref, 3.0), ())


X = torch.zeros(5, 7)
WINDOWS = X.flatten().as_strided((4, 6), (3, 1))
LAZY = [X[:, :1].expand(5, 7), WINDOWS, X.flatten().as_strided((5, 7), (1, 1))]
FREE = [X, X.t(), X[:3, :4], X.view(5, 7, 1).expand(5, 7, 1), X[:, ::2], X[:0], torch.zeros(())]


@pytest.mark.parametrize("tensor", LAZY, ids=lambda tensor: str(tensor.stride()))
def test_elements_that_share_a_place_are_left_to_the_reader(tensor: torch.Tensor) -> None:
    assert not apart(tensor.shape, tensor.stride())
    found = left_to_the_reader(plan(tensor), lambda: [tensor.clone()], only_moves=False)
    assert found.startswith("output 0 shows the same memory in several places")


@pytest.mark.parametrize("tensor", LAZY, ids=lambda tensor: str(tensor.stride()))
def test_what_the_reference_gives_so_too_may_be_given_so(tensor: torch.Tensor) -> None:
    assert left_to_the_reader(plan(tensor), lambda: [tensor], only_moves=True) == ""


@pytest.mark.parametrize("tensor", FREE, ids=lambda tensor: f"{tuple(tensor.shape)} {tensor.stride()}")
def test_an_output_of_a_computation_may_lie_as_it_likes(tensor: torch.Tensor) -> None:
    def never() -> list[torch.Tensor]:
        raise AssertionError("asked for")

    assert left_to_the_reader(plan(tensor), never, only_moves=False) == ""


def test_where_moving_is_the_task_a_view_is_not_the_work() -> None:
    found = left_to_the_reader(plan(X.t()), lambda: [X.t().contiguous()], only_moves=True)
    assert found.startswith("output 0 does not lie as the reference's does")
    assert left_to_the_reader(plan(X.t()), lambda: [X.t()], only_moves=True) == ""
    assert left_to_the_reader(plan(X.t().contiguous()), lambda: [X.t().contiguous()], only_moves=True) == ""


@pytest.mark.parametrize("tensor", FREE, ids=lambda tensor: f"{tuple(tensor.shape)} {tensor.stride()}")
def test_order_is_what_torch_calls_contiguous(tensor: torch.Tensor) -> None:
    assert in_order((tensor.shape, tensor.stride())) == tensor.is_contiguous()
