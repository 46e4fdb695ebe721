"""What a replay worker's answers mean: verdicts, times, and whose fault it is where there are none."""

from typing import Any

import pytest

from tritonrl_core.bench.gpu_answers import result_of, stopped, times_of
from tritonrl_core.bench.plan.schema import LaunchPlan
from tritonrl_core.bench.prepare import Ready, Stop
from tritonrl_core.bench.replay.pool import Answer
from tritonrl_core.errors import InfraError, TaskError
from tritonrl_core.types import InputCase, Stage, Status, TimingProtocol

CASE = InputCase("c", seed=1)
READY = Ready(LaunchPlan("sm_90", "3.6.0", (), (), (), {}, (), (), ()), (), "A")
RIGHT: dict[str, Any] = {
    "status": "PASSED", "reason": "", "error": 0.25, "mismatch": {}, "facts": {"registers": 20},
    "seconds": {"run": 0.1}, "worst": {"output": 0, "index": [1, 2], "got": 1.0, "expected": 1.5, "allowed": 2.0},
}  # fmt: skip
TIMED: dict[str, Any] = {
    "status": "PASSED", "reason": "", "candidate_us": [[10.0, 10.1, 9.9]],
    "baseline_us": {"eager": [[20.0, 20.1, 19.9]]}, "notes": [], "worker_seconds": 0.5, "turn_seconds": 0.1,
    "facts": {"eager_wall_us": None, "floor_us": 1.0},
}  # fmt: skip
PROTOCOL = TimingProtocol("adaptive")


def result(outcome: str = "ok", detail: str = "", **data: Any):
    return result_of(CASE, READY, Answer(outcome, data, detail), {"launch_count": 1})


def test_a_right_answer_becomes_a_passed_case_with_its_facts():
    found = result(**RIGHT)
    assert (found.status, found.stage, found.error, found.sandbox) == (Status.PASSED, Stage.FULL, 0.25, "A")
    assert found.worst is not None
    assert found.worst.index == (1, 2)
    assert found.facts == {"launch_count": 1, "registers": 20, "stage_seconds": {"run": 0.1}}
    assert not found.unchecked
    assert result(**RIGHT, withheld_right=True).facts["right_without_launches"]
    assert "no such kernel" in result(**RIGHT, no_double="no such kernel").unchecked[0]


@pytest.mark.parametrize(
    ("outcome", "data", "status", "words"),
    [
        ("timeout", {}, Status.TIMEOUT, "verifier.timeout_s"),
        ("fault", {"fault": "illegal address"}, Status.RUNTIME_ERROR, "on the GPU: illegal"),
    ],
)
def test_what_a_worker_was_lost_with_is_the_candidates(outcome, data, status, words):
    found = result(outcome, "illegal address", **data)
    assert (found.status, found.stage) == (status, Stage.FULL)
    assert words in found.reason


@pytest.mark.parametrize(
    ("outcome", "data", "error"),
    [
        ("died", {}, InfraError),
        ("fault", {"fault": "ours", "infra": "no"}, InfraError),
        ("ok", {"infra": "no"}, InfraError),
        ("ok", {"memory": "no"}, InfraError),
        ("ok", {"task_error": "no", "remedy": "mend it"}, TaskError),
    ],
)
def test_what_is_not_the_candidates_is_no_verdict(outcome, data, error):
    with pytest.raises(error):
        result(outcome, **data)
    if error is InfraError:
        with pytest.raises(InfraError, match="timing failed"):
            times_of(Answer(outcome, data), PROTOCOL, "GPU", None)


def test_times_come_with_the_baselines_wall_time_from_before():
    timing = times_of(Answer("ok", dict(TIMED, facts=dict(TIMED["facts"]))), PROTOCOL, "GPU", 77.0)
    assert timing.speedup == pytest.approx(2.0, rel=0.02)
    assert (timing.facts["eager_wall_us"], timing.facts["worker_s"]) == (77.0, 0.5)


def test_what_was_wrong_while_it_was_timed_has_no_speed():
    wrong = times_of(Answer("ok", dict(TIMED, status="WRONG", reason="the output")), PROTOCOL, "GPU", None)
    assert (wrong.status, wrong.speedup, wrong.reason) == (Status.WRONG, 0.0, "the output")
    broke = times_of(Answer("fault", {"fault": "illegal"}, "illegal"), PROTOCOL, "GPU", None)
    assert (broke.status, "while it was timed" in broke.reason) == (Status.RUNTIME_ERROR, True)


def test_who_did_not_get_as_far_keeps_his_reason():
    found = stopped(CASE, Stop(Status.BUILD_ERROR, Stage.COMPILE, "no", "A"))
    assert (found.status, found.stage, found.reason, found.sandbox) == (Status.BUILD_ERROR, Stage.COMPILE, "no", "A")
