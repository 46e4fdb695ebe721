"""The plugin by itself, from Python: a program whose results are written down."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import ValidationError
from tritonrl_plugin_multi_input import MultiInputPlugin

from tritonrl_core.plugin import PluginContext
from tritonrl_core.types import CaseRequest, CaseResult, InputCase, Stage, Status, Task, Timing, TimingProtocol

TASK = Task("t", 1, "")


class Scripted:
    """A program that answers case number n by `answer(n)`, and remembers what it was asked."""

    def __init__(self, answer: Callable[[int], tuple[Status, str]]) -> None:
        self.answer = answer
        self.requests: list[CaseRequest] = []
        self.ran: list[tuple[str, str]] = []

    def cases(self, request: CaseRequest) -> Sequence[InputCase]:
        self.requests.append(request)
        return [InputCase(f"case {n}", request.seed + n) for n in range(request.count)]

    def run(self, case: InputCase, criterion: str = "default") -> CaseResult:
        self.ran.append((case.name, criterion))
        status, reason = self.answer(int(case.name.split()[1]))
        return CaseResult(case, status, Stage.FULL, reason, 0.5 if status is Status.PASSED else 3.0, seconds=0.25)

    def compile(self, case: InputCase) -> CaseResult:
        raise AssertionError("not asked for")

    def time(self, protocol: TimingProtocol) -> Timing:
        raise AssertionError("not asked for")

    def plan(self, case: InputCase) -> Mapping[str, Any]:
        raise AssertionError("not asked for")


def failing_at(place: int, status: Status = Status.WRONG, reason: str = "output[1] is 2, expected 1") -> Scripted:
    return Scripted(lambda n: (status, reason) if n == place else (Status.PASSED, ""))


def plugin(preset_seed: int = 0, /, **options: object) -> MultiInputPlugin:
    return MultiInputPlugin(MultiInputPlugin.Options(**options), PluginContext(seed=preset_seed))


def test_a_right_kernel_passes_all_five() -> None:
    program = failing_at(99)
    verdict = plugin().check_correctness(TASK, program)
    assert (verdict.status, verdict.cases_passed, verdict.cases_total) == (Status.PASSED, 5, 5)
    assert (verdict.valid, verdict.compiled, verdict.worst_error) == (True, True, 0.5)
    assert verdict.stage_seconds == {"full": 1.25}


def test_the_first_failure_stops_and_names_the_case() -> None:
    program = failing_at(2)
    verdict = plugin().check_correctness(TASK, program)
    assert verdict.status is Status.WRONG
    assert (verdict.cases_passed, verdict.cases_total) == (2, 5)
    assert verdict.reason == "input case case 2: output[1] is 2, expected 1"
    assert [name for name, _ in program.ran] == ["case 0", "case 1", "case 2"]


@pytest.mark.parametrize(
    "status",
    [Status.RUNTIME_ERROR, Status.CHEATED, Status.TIMEOUT, Status.BUILD_ERROR, Status.UNSUPPORTED, Status.INFRA],
)
def test_every_status_of_a_case_becomes_the_verdicts(status: Status) -> None:
    verdict = plugin().check_correctness(TASK, failing_at(1, status, "ValueError: contiguous inputs only"))
    assert verdict.status is status
    assert "ValueError: contiguous inputs only" in verdict.reason


def test_options_become_the_request() -> None:
    program = failing_at(99)
    few = plugin(num_tests=3, shapes=False, values=False, dtypes=True, layouts=False, seed=11)
    few.check_correctness(TASK, program)
    assert program.requests == [CaseRequest(count=3, dtypes=True, seed=11)]
    plugin().check_correctness(TASK, program)
    assert program.requests[1] == CaseRequest(count=5, shapes=True, values=True, layouts=True)


def test_inputs_follow_the_presets_seed_unless_given_one() -> None:
    assert plugin(5).request().seed == 5
    own = MultiInputPlugin(MultiInputPlugin.Options(seed=11), PluginContext(seed=5))
    assert own.request().seed == 11


def test_the_criterion_is_passed_on() -> None:
    program = failing_at(99)
    plugin(criterion="kernelbench", num_tests=1).check_correctness(TASK, program)
    assert program.ran == [("case 0", "kernelbench")]


@pytest.mark.parametrize("options", [{"num_tests": 0}, {"criterion": "loose"}, {"seed": -1}, {"tests": 5}])
def test_options_that_cannot_be_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        plugin(**options)
