"""The plugin by itself: its stages in order, what it counts, and what it leaves to others."""

import json
from dataclasses import replace

import pytest
from tritonrl_plugin_funnel import FunnelPlugin
from tritonrl_plugin_funnel.worth import STILL

from tritonrl_core.testing import FakeProgram, sample_candidate, sample_score, sample_task, session_with
from tritonrl_core.testing.fakes import COMPILED
from tritonrl_core.types import Candidate, CaseResult, Credit, InputCase, Stage, Status

TASK, RIGHT = sample_task(), sample_candidate()
BAD_SOURCE = Candidate.from_code(RIGHT.code.replace("import triton.language as tl\n", ""))
NO_MODEL = Candidate.from_code("x = 1")


def funnel(**options: bool) -> FunnelPlugin:
    return FunnelPlugin(FunnelPlugin.Options(**options))


def not_compiling() -> FakeProgram:
    return FakeProgram(compiled=replace(COMPILED, status=Status.BUILD_ERROR, reason="tl.dot: shapes differ (line 9)"))


def test_what_passes_every_stage_is_not_objected_to() -> None:
    program = FakeProgram()
    assert funnel().objection(TASK, RIGHT, program) is None
    assert [case.dims for case in program.ran] == [{}]  # the task as written


def test_a_mistake_in_the_source_runs_nothing() -> None:
    program = FakeProgram()
    objection = funnel().objection(TASK, BAD_SOURCE, program)
    assert objection is not None
    assert (objection.status, objection.stage) == (Status.BUILD_ERROR, Stage.AST)
    assert program.ran == []


def test_what_does_not_compile_is_not_run() -> None:
    program = not_compiling()
    objection = funnel().objection(TASK, RIGHT, program)
    assert objection is not None
    assert (objection.status, objection.stage, objection.compiled) == (Status.BUILD_ERROR, Stage.COMPILE, False)
    assert objection.reason == "tl.dot: shapes differ (line 9)"
    assert program.ran == []


@pytest.mark.parametrize("status", [Status.WRONG, Status.CHEATED, Status.RUNTIME_ERROR, Status.TIMEOUT])
def test_a_failed_tiny_run_is_named_as_such(status: Status) -> None:
    objection = funnel().objection(TASK, RIGHT, FakeProgram.ending(status, "output[3] is 0, expected 1"))
    assert objection is not None
    assert (objection.status, objection.stage) == (status, Stage.TINY)


def test_our_own_fault_is_no_objection() -> None:
    assert funnel().objection(TASK, RIGHT, FakeProgram.ending(Status.INFRA)) is None


def test_each_stage_can_be_left_out() -> None:
    assert funnel(ast=False, compile=False, tiny_run=False).objection(TASK, BAD_SOURCE, not_compiling()) is None
    assert funnel(ast=False, tiny_run=False).objection(TASK, BAD_SOURCE, not_compiling()).stage is Stage.COMPILE
    program = FakeProgram.ending(Status.WRONG)
    assert funnel(compile=False, tiny_run=False).objection(TASK, RIGHT, program) is None
    assert program.ran == []


def test_the_base_is_asked_first_because_it_is_cheaper() -> None:
    session = session_with(FunnelPlugin)
    program = FakeProgram.ending(Status.WRONG)
    objection = session.pre_filter(TASK, NO_MODEL, program)
    assert objection is not None
    assert (objection.status, session.last_answer("pre_filter")) == (Status.REJECTED, "base")
    assert program.ran == []
    objection = session.pre_filter(TASK, RIGHT, program)
    assert objection is not None
    assert (objection.stage, session.last_answer("pre_filter")) == (Stage.TINY, "funnel")


def test_with_the_funnel_off_the_base_answers_as_before() -> None:
    on, off = session_with(FunnelPlugin), session_with()
    for candidate in (RIGHT, NO_MODEL, Candidate.from_code("def ("), Candidate.from_code("")):
        assert on.pre_filter(TASK, candidate, FakeProgram()) == off.pre_filter(TASK, candidate, FakeProgram())


def test_metrics_count_each_stage() -> None:
    plugin = funnel()
    for program in (FakeProgram(), not_compiling(), FakeProgram.ending(Status.WRONG)):
        plugin.objection(TASK, RIGHT, program)
    plugin.objection(TASK, BAD_SOURCE, FakeProgram())
    figures = plugin.collect_metrics(0)
    counted = {name: value for name, value in figures.items() if not name.endswith("_seconds")}
    assert counted == {
        "ast_asked": 4, "ast_stopped": 1, "compile_asked": 3, "compile_stopped": 1,
        "tiny_run_asked": 2, "tiny_run_stopped": 1,
    }  # fmt: skip
    assert 0 < figures["ast_seconds"] < 5
    assert set(funnel(compile=False).collect_metrics(0)) == {
        f"{stage}_{what}" for stage in ("ast", "tiny_run") for what in ("asked", "stopped", "seconds")
    }


def test_counters_go_on_after_a_checkpoint() -> None:
    plugin, resumed = funnel(), funnel()
    plugin.objection(TASK, BAD_SOURCE, FakeProgram())
    resumed.load_state_dict(json.loads(json.dumps(plugin.state_dict())))
    assert resumed.collect_metrics(0) == plugin.collect_metrics(0)


def group() -> list:
    ended_at = [(Status.REJECTED, Stage.AST), (Status.BUILD_ERROR, Stage.COMPILE), (Status.WRONG, Stage.FULL)]
    scores = [(sample_score(status), stage) for status, stage in ended_at]
    staged = [replace(score, verdict=replace(score.verdict, stage=stage)) for score, stage in scores]
    return [*staged, sample_score(Status.INFRA)]


def test_partial_credit_is_off_by_default() -> None:
    assert session_with(FunnelPlugin).assign_credit(group()) == session_with().assign_credit(group())


def test_partial_credit_ranks_wrong_candidates_by_the_stage_reached() -> None:
    session = session_with(FunnelPlugin, options={"funnel": {"partial_credit": True}})
    rejected, compiled, full, infra = session.assign_credit(group())
    assert rejected.code < compiled.code < full.code
    assert infra.code == 0
    assert rejected.code + compiled.code + full.code == pytest.approx(0)
    assert {credit.plan for credit in (rejected, compiled, full)} == {0.0}


def test_a_right_candidate_stays_far_above_the_partly_right() -> None:
    session = session_with(FunnelPlugin, options={"funnel": {"partial_credit": True}})
    *wrong, right = session.assign_credit([*group()[:3], sample_score()])
    assert right.code > 2 * max(credit.code for credit in wrong)
    assert isinstance(right, Credit)


class Previewing(FakeProgram):
    """Runs before it is compiled, in vain where it is right."""

    preview_is_kept = False

    def preview(self, case: InputCase) -> CaseResult:
        return self.run(case)


def previewing(status: Status = Status.PASSED) -> Previewing:
    return Previewing(results=FakeProgram.ending(status).results)


def test_what_is_wrong_is_not_compiled_where_it_can_be_run_before() -> None:
    plugin = funnel()
    objection = plugin.objection(TASK, RIGHT, previewing(Status.WRONG))
    assert objection is not None
    assert (objection.status, objection.stage, objection.compiled) == (Status.WRONG, Stage.TINY, None)
    assert plugin.collect_metrics(0)["compile_asked"] == 0


def test_running_before_compiling_is_given_up_where_nothing_is_wrong() -> None:
    plugin = funnel()
    for _ in range(200):
        assert plugin.objection(TASK, RIGHT, previewing()) is None
    figures = plugin.collect_metrics(0)
    assert 200 // STILL < figures["tiny_run_asked"] <= 10
    assert figures["compile_asked"] == 200


def test_after_one_that_ended_the_next_is_asked_too() -> None:
    plugin = funnel()
    for _ in range(100):
        plugin.objection(TASK, RIGHT, previewing())
    stopped = [plugin.objection(TASK, RIGHT, previewing(Status.WRONG)) is not None for _ in range(STILL + 1)]
    first = stopped.index(True)
    assert not any(stopped[:first])
    assert all(stopped[first:])


def test_running_before_compiling_is_taken_up_again_where_much_is_wrong() -> None:
    plugin, resumed = funnel(), funnel()
    for _ in range(100):
        plugin.objection(TASK, RIGHT, previewing())
    for _ in range(10 * STILL):
        plugin.objection(TASK, RIGHT, previewing(Status.WRONG))
    resumed.load_state_dict(json.loads(json.dumps(plugin.state_dict())))
    asked = resumed.collect_metrics(0)["tiny_run_asked"]
    for _ in range(20):
        assert resumed.objection(TASK, RIGHT, previewing(Status.WRONG)) is not None
    assert resumed.collect_metrics(0)["tiny_run_asked"] == asked + 20


def test_where_the_run_is_used_again_it_is_always_asked() -> None:
    plugin = funnel()
    for _ in range(100):
        kept = previewing()
        kept.preview_is_kept = True
        plugin.objection(TASK, RIGHT, kept)
    assert plugin.collect_metrics(0)["tiny_run_asked"] == 100
