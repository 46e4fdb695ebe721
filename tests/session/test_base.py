"""The baseline's own answers, plugin number zero."""

from collections import Counter
from random import Random

import pytest

from tritonrl_core.preset import Preset
from tritonrl_core.testing import FakeProgram, sample_score, sample_task, sample_timing, session_with
from tritonrl_core.types import (
    CaseRequest,
    CaseResult,
    InputCase,
    LevelStats,
    Stage,
    Status,
    verdict_from_cases,
)


def result(status, stage=Stage.FULL, name="case", **more):
    return CaseResult(InputCase(name, seed=0), status, stage, **more)


def test_the_mix_of_levels_is_the_presets():
    session = session_with(preset=Preset.from_data({"levels": {1: 0.75, 2: 0.25}}))
    rng = Random(1)
    drawn = Counter(session.sample_level({1: LevelStats(1), 2: LevelStats(2)}, step, rng) for step in range(4000))
    assert drawn[2] / 4000 == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("levels", "drawn"), [({2}, {2}), ({3, 4}, {3, 4})])
def test_only_levels_with_tasks_are_drawn(levels, drawn):
    session, rng = session_with(), Random(1)
    stats = {level: LevelStats(level) for level in levels}
    assert {session.sample_level(stats, step, rng) for step in range(50)} == drawn


def test_one_input_case_decides():
    program = FakeProgram()
    verdict = session_with().check_correctness(sample_task(), program)
    assert (verdict.status, verdict.cases_passed, verdict.cases_total, verdict.source) == (Status.PASSED, 1, 1, "base")
    assert len(program.ran) == 1


def test_speed_is_the_simple_protocol():
    program = FakeProgram(timing=sample_timing())
    assert session_with().measure_speed(sample_task(), program).speedup == 1.5
    assert program.protocols[0].method == "simple"


def test_credit_follows_the_presets_reward_settings():
    scores = [sample_score(speedup=1.0), sample_score(speedup=2.0), sample_score(Status.WRONG)]
    plans = {}
    for alpha in (0.1, 1.0):
        session = session_with(preset=Preset.from_data({"reward": {"alpha": alpha}}))
        credits = session.assign_credit(scores)
        assert credits[0].code == credits[1].code > credits[2].code
        plans[alpha] = [credit.plan for credit in credits]
    assert plans[1.0] == pytest.approx([10 * plan for plan in plans[0.1]])
    strict = session_with(preset=Preset.from_data({"reward": {"speed_from": 0.9}}))
    assert [credit.plan for credit in strict.assign_credit(scores)] == [0.0] * 3


def test_an_unset_suite_gives_no_tasks():
    assert session_with(preset=Preset.from_data({"tasks": {"suite": "none"}})).generate_tasks() == []


TABLE = [
    (Status.PASSED, Stage.FULL, True, True),
    (Status.WRONG, Stage.FULL, True, True),
    (Status.RUNTIME_ERROR, Stage.RECORD, None, None),
    (Status.RUNTIME_ERROR, Stage.FULL, True, True),
    (Status.TIMEOUT, Stage.RECORD, None, None),
    (Status.TIMEOUT, Stage.COMPILE, True, None),
    (Status.BUILD_ERROR, Stage.RECORD, None, False),
    (Status.BUILD_ERROR, Stage.COMPILE, True, False),
    (Status.REJECTED, Stage.RECORD, False, None),
    (Status.CHEATED, Stage.FULL, False, None),
    (Status.UNSUPPORTED, Stage.RECORD, None, None),
    (Status.INFRA, Stage.FULL, None, None),
]


@pytest.mark.parametrize(("status", "stage", "valid", "compiled"), TABLE)
def test_valid_and_compiled_follow_the_table_of_statuses(status, stage, valid, compiled):
    verdict = verdict_from_cases([result(status, stage, reason="why")], total=1)
    assert (verdict.status, verdict.stage, verdict.reason) == (status, stage, "why")
    assert (verdict.valid, verdict.compiled) == (valid, compiled)


def test_the_worst_case_decides_and_is_named():
    results = [
        result(Status.PASSED, name="a", error=0.2),
        result(Status.WRONG, name="b", error=7.0, reason="off by one"),
    ]
    verdict = verdict_from_cases(results, total=5)
    assert (verdict.status, verdict.reason) == (Status.WRONG, "input case b: off by one")
    assert (verdict.cases_passed, verdict.cases_total, verdict.worst_error) == (1, 5, 7.0)


def test_passing_takes_every_case():
    verdict = verdict_from_cases([result(Status.PASSED)] * 3, total=5)
    assert (verdict.status, verdict.reason) == (Status.INFRA, "input case case: only 3 of 5 input cases were run")
    assert verdict_from_cases([], total=5).status is Status.INFRA
    assert verdict_from_cases([result(Status.PASSED)] * 5, total=5).status is Status.PASSED


def test_a_verdict_sums_up_its_cases():
    results = [
        result(Status.PASSED, seconds=0.25, unchecked=("races", "tf32"), sandbox="B"),
        result(Status.PASSED, seconds=0.5, unchecked=("races",), sandbox="B", error=0.5),
    ]
    verdict = verdict_from_cases(results, total=2)
    assert verdict.stage_seconds == {"full": 0.75}
    assert verdict.unchecked == ("races", "tf32")
    assert (verdict.sandbox, verdict.worst_error) == ("B", 0.5)


def test_a_fake_program_keeps_a_programs_promises():
    program = FakeProgram(results=(result(Status.PASSED), result(Status.WRONG)))
    first, second, third = program.cases(CaseRequest(count=3))
    assert [program.run(case).status for case in (first, second, third, first)] == [
        Status.PASSED, Status.WRONG, Status.WRONG, Status.PASSED,
    ]  # fmt: skip
    assert program.run(second).case == second
