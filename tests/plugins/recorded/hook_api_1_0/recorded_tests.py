"""The plugin keeps the contract of every plugin, and does what it says."""

from random import Random

from tritonrl_core.testing import (
    FakeProgram,
    PluginContract,
    hook_arguments,
    sample_candidate,
    sample_score,
    sample_task,
    sample_timing,
)
from tritonrl_core.types import LevelStats, Limits, SandboxJob, Status

from tritonrl_plugin_recorded import RecordedPlugin


class TestRecordedPlugin(PluginContract):
    plugin = RecordedPlugin


def test_the_splits_have_no_task_in_common() -> None:
    plugin = RecordedPlugin(RecordedPlugin.Options(count=2))
    train, held_out = (list(plugin.generate_tasks(split, seed=0)) for split in ("train", "held_out"))
    assert len(train) == len(held_out) == 2
    assert not {task.source for task in train} & {task.source for task in held_out}


def test_level_one_comes_first() -> None:
    plugin = RecordedPlugin(RecordedPlugin.Options(level_2_from_step=10))
    both = {1: LevelStats(1), 2: LevelStats(2)}
    assert {plugin.sample_level(both, 9, Random(seed)) for seed in range(20)} == {1}
    assert {plugin.sample_level(both, 10, Random(seed)) for seed in range(20)} == {1, 2}


def test_it_declines_where_there_is_nothing_to_choose() -> None:
    assert RecordedPlugin().sample_level({1: LevelStats(1)}, 0, Random(0)) is None


def test_long_code_is_rejected_with_a_reason() -> None:
    candidate = sample_candidate()
    lines = candidate.code.count("\n")
    for most, passes in ((lines, True), (lines - 1, False)):
        plugin = RecordedPlugin(RecordedPlugin.Options(most_lines=most))
        objection = plugin.pre_filter(sample_task(), candidate, FakeProgram())
        assert (objection is None) is passes
        assert passes or f"{lines} lines" in objection.reason


def test_jobs_are_counted_and_left_to_the_next_one() -> None:
    plugin = RecordedPlugin()
    job = SandboxJob(entry=lambda: b"done", limits=Limits(wall_s=5.0), profile="record")
    assert plugin.sandbox_exec(job) is None
    assert plugin.jobs["record"] == 1


def test_every_case_must_pass_and_the_first_failure_stops() -> None:
    plugin = RecordedPlugin(RecordedPlugin.Options(cases=3))
    right, wrong = FakeProgram(), FakeProgram.ending(Status.WRONG, "off by one")
    verdict = plugin.check_correctness(sample_task(), right)
    assert (verdict.status, verdict.cases_passed, len(right.ran)) == (Status.PASSED, 3, 3)
    verdict = plugin.check_correctness(sample_task(), wrong)
    assert (verdict.status, len(wrong.ran)) == (Status.WRONG, 1)
    assert "off by one" in verdict.reason


def test_the_clock_is_asked_as_the_options_say() -> None:
    plugin = RecordedPlugin(RecordedPlugin.Options(trials=7))
    program = FakeProgram(timing=sample_timing(2.0))
    assert plugin.measure_speed(sample_task(), program).speedup == 2.0
    assert program.protocols[0].trials == 7


def test_what_was_seen_survives_a_checkpoint() -> None:
    plugin, again = RecordedPlugin(), RecordedPlugin()
    plugin.observe_group([sample_score(), sample_score(Status.WRONG)], step=0)
    again.load_state_dict(plugin.state_dict())
    assert again.seen == {"PASSED": 1, "WRONG": 1}


def test_right_completions_are_favoured_and_the_group_sums_to_nothing() -> None:
    right, wrong = RecordedPlugin().assign_credit([sample_score(), sample_score(Status.WRONG)])
    assert (right.code, wrong.code) == (0.5, -0.5)


def test_a_fault_of_ours_is_neither_rewarded_nor_punished() -> None:
    _, infra = RecordedPlugin().assign_credit([sample_score(), sample_score(Status.INFRA)])
    assert (infra.plan, infra.code) == (0.0, 0.0)


def test_it_gives_figures() -> None:
    assert RecordedPlugin().collect_metrics(step=3) == {"last_step": 3.0}


def test_the_local_bench_answers() -> None:
    spec = hook_arguments("open_bench")["spec"]
    assert RecordedPlugin().open_bench(spec) is None
