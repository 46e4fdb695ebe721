"""Every golden solution of the suite passes the base's filter."""

import pytest

from tritonrl_core.base import pre_filter
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.types import Candidate


@pytest.mark.parametrize("golden", golden_solutions(), ids=lambda golden: golden.task_id)
def test_golden_solutions_pass_the_filter(golden):
    assert pre_filter(Candidate.from_code(golden.code)) is None
