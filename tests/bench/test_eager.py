"""What eager PyTorch is taken to run for an operator: kernels, programs, chains."""

import pytest
import torch
import torch.nn.functional as F

from tritonrl_core.bench.targets import gpu_for
from tritonrl_core.bench.timing.eager import EagerWork
from tritonrl_core.bench.timing.estimate import microseconds

H100 = gpu_for("sm_90")
X, WEIGHT = torch.randn(512, 768), torch.randn(8, 8, 3, 3)
MEAN, VARIANCE = torch.zeros(768), torch.ones(768)


def work(run):
    with EagerWork() as watch:
        run()
    return watch.work


def us(run):
    return microseconds(work(run), H100)


def test_operators_that_move_or_compute_are_counted_and_views_are_not():
    x, w = torch.randn(64, 32), torch.randn(16, 32)

    def run():
        y = x.view(32, 64).view(64, 32).t().t() @ w.t()
        y = torch.relu(y + 1).transpose(0, 1)
        y.add_(1)
        torch.empty(5)

    small = 64 * 16 * 4
    assert [(item.bytes, dict(item.flops)) for item in work(run)] == [
        (64 * 32 * 4 + 16 * 32 * 4 + small, {"fp32": 2 * 64 * 32 * 16}),
        (2 * small, {}), (2 * small, {}), (2 * small, {}),
    ]  # fmt: skip


def test_what_one_operator_moved_the_next_one_finds_in_the_cache():
    first, second = work(lambda: torch.relu(X + 1))
    assert first.fresh == first.bytes == 2 * X.nbytes
    assert second.fresh == X.nbytes


@pytest.mark.parametrize(
    ("run", "kernels"),
    [
        (lambda: X.sum(1), 1), (lambda: torch.softmax(X, 1), 1), (lambda: torch.logsumexp(X, 1), 8),
        (lambda: F.layer_norm(X, (768,)), 1), (lambda: F.layer_norm(X[:, :767], (767,)), 2),
        (lambda: F.batch_norm(X, MEAN, VARIANCE), 1),
        (lambda: F.batch_norm(X, None, None, training=True), 3), (lambda: F.mse_loss(X, X + 1), 3),
        (lambda: F.group_norm(X.view(8, 64, 768), 4), 3),
        (lambda: F.conv2d(X.view(1, 8, 64, 768), WEIGHT), 3),
        (lambda: F.scaled_dot_product_attention(*[X.view(1, 4, 128, 768)] * 3), 1),
    ],
)  # fmt: skip
def test_operators_run_as_many_kernels_as_pytorch_has_for_them(run, kernels):
    assert len(work(run)) == kernels


def test_chains_cost_what_they_are_long():
    """Measured on an H200: 5.2, 6.7, 8.0, 13.7, 33 and 430 microseconds at 551 x 730."""
    plain, rows, total = us(lambda: torch.relu(X)), us(lambda: torch.softmax(X, 1)), us(lambda: X.sum(1))
    columns, scan = us(lambda: X.mean(0)), us(lambda: X.cumsum(1))
    assert plain < rows < total < columns < scan < us(lambda: torch.softmax(X, 0))


def test_a_softmax_over_few_columns_walks_down_with_many_threads():
    assert us(lambda: torch.softmax(X.view(-1, 16), 0)) < us(lambda: torch.softmax(X.view(-1, 256), 0))


def test_half_precision_products_count_as_such():
    [product] = work(lambda: X.half() @ X.half().t())[2:]
    assert set(product.flops) == {"fp16"}
