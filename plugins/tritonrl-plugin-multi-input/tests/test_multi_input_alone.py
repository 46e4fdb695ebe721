"""The plugin by itself, from Python: a program whose results are written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from pydantic import ValidationError
from tritonrl_plugin_multi_input import MultiInputPlugin

from tritonrl_core.testing import FakeProgram, sample_task, session_with
from tritonrl_core.testing.fakes import PASSED
from tritonrl_core.types import CaseRequest, CaseResult, InputCase, Status

TASK = sample_task()


@dataclass
class Asked(FakeProgram):
    """A fake program that also remembers what cases and which criterion were asked for."""

    requests: list[CaseRequest] = field(default_factory=list)
    criteria: list[str] = field(default_factory=list)

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        self.requests.append(request)
        return super().cases(request)

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        self.criteria.append(criterion)
        return super().run(case, criterion)


def failing_at(place: int, status: Status = Status.WRONG, reason: str = "output[1] is 2, expected 1") -> Asked:
    return Asked([PASSED] * place + [replace(PASSED, status=status, reason=reason, error=3.0)])


def plugin(**options: object) -> MultiInputPlugin:
    return MultiInputPlugin(MultiInputPlugin.Options(**options))


def test_a_right_kernel_passes_all_five() -> None:
    program = Asked()
    verdict = plugin().check_correctness(TASK, program)
    assert (verdict.status, verdict.cases_passed, verdict.cases_total) == (Status.PASSED, 5, 5)
    assert (verdict.valid, verdict.compiled, verdict.worst_error) == (True, True, 0.1)
    assert verdict.stage_seconds == {"full": pytest.approx(0.05)}


def test_the_first_failure_stops_and_names_the_case() -> None:
    program = failing_at(2)
    verdict = plugin().check_correctness(TASK, program)
    assert verdict.status is Status.WRONG
    assert (verdict.cases_passed, verdict.cases_total) == (2, 5)
    assert verdict.reason == "input case case2: output[1] is 2, expected 1"
    assert [case.name for case in program.ran] == ["case0", "case1", "case2"]


@pytest.mark.parametrize(
    "status",
    [Status.RUNTIME_ERROR, Status.CHEATED, Status.TIMEOUT, Status.BUILD_ERROR, Status.UNSUPPORTED, Status.INFRA],
)
def test_every_status_of_a_case_becomes_the_verdicts(status: Status) -> None:
    verdict = plugin().check_correctness(TASK, failing_at(1, status, "ValueError: contiguous inputs only"))
    assert verdict.status is status
    assert "ValueError: contiguous inputs only" in verdict.reason


def test_options_become_the_request() -> None:
    program = Asked()
    few = plugin(num_tests=3, shapes=False, values=False, dtypes=True, layouts=False, seed=11)
    few.check_correctness(TASK, program)
    assert program.requests == [CaseRequest(count=3, dtypes=True, seed=11)]
    plugin().check_correctness(TASK, program)
    assert program.requests[1] == CaseRequest(count=5, shapes=True, values=True, layouts=True)


def test_the_criterion_is_passed_on() -> None:
    program = Asked()
    plugin(criterion="kernelbench", num_tests=1).check_correctness(TASK, program)
    assert program.criteria == ["kernelbench"]


@pytest.mark.parametrize("options", [{"num_tests": 0}, {"criterion": "loose"}, {"seed": -1}, {"tests": 5}])
def test_options_that_cannot_be_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        plugin(**options)


def test_with_the_plugin_off_the_base_checks_one_input() -> None:
    wrong_later = failing_at(1)
    assert session_with().check_correctness(TASK, wrong_later).status is Status.PASSED
    verdict = session_with(MultiInputPlugin).check_correctness(TASK, failing_at(1))
    assert (verdict.status, verdict.source) == (Status.WRONG, "multi_input")
