"""The weights of plan and speed over a run."""

import pytest
from tritonrl_plugin_curriculum.weights import cosine, progress, reweigh

from tritonrl_core.types import Credit


def test_cosine_goes_from_start_to_end_and_is_flat_at_both() -> None:
    assert cosine(0.1, 0.02, 0.0) == pytest.approx(0.1)
    assert cosine(0.1, 0.02, 0.5) == pytest.approx(0.06)
    assert cosine(0.1, 0.02, 1.0) == pytest.approx(0.02)
    assert 0.1 - cosine(0.1, 0.02, 0.05) < 0.1 * 0.08


def test_progress_stays_within_the_run() -> None:
    assert [progress(step, 10) for step in (-1, 0, 5, 10, 99)] == [0, 0, 0.5, 1, 1]


def test_same_weights_leave_credits_as_they_are() -> None:
    credits = [Credit(plan=0.07, code=-0.5), Credit(plan=-0.07, code=0.5)]
    assert reweigh(credits, 0.1, 0.1, 0.0) == [
        Credit(pytest.approx(0.07), -0.5), Credit(pytest.approx(-0.07), 0.5)]


def test_speed_enters_the_code_by_its_share() -> None:
    [credit] = reweigh([Credit(plan=0.1, code=-1.0)], alpha=0.1, plan_weight=0.05, speed_share=0.25)
    assert (credit.plan, credit.code) == (pytest.approx(0.05), pytest.approx(-0.5))
