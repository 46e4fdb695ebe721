"""The plugin by itself, from Python: no session, no trainer."""

import json
from dataclasses import replace
from random import Random

import pytest
from tritonrl_plugin_curriculum import CurriculumPlugin

from tritonrl_core.errors import PresetError
from tritonrl_core.plugin import PluginContext
from tritonrl_core.testing import session_with
from tritonrl_core.types import Candidate, Credit, LevelStats, RewardParts, Score, Stage, Status, Task, Verdict

BOTH = {1: LevelStats(1), 2: LevelStats(2)}


def group(correct: int, of: int = 4, *, level: int = 1, step: int = 0, infra: int = 0) -> list[Score]:
    statuses = [Status.PASSED] * correct + [Status.WRONG] * (of - correct) + [Status.INFRA] * infra
    return [
        Score(f"l{level}_task", level, f"key{level}", Candidate.from_code(""), Verdict(status, Stage.FULL), None,
              RewardParts(float(status is Status.PASSED), 0.0), step=step)
        for status in statuses
    ]


def plugin(preset: dict | None = None, **options: object) -> CurriculumPlugin:
    return CurriculumPlugin(CurriculumPlugin.Options(**options), PluginContext(preset=preset or {}))


def levels(curriculum: CurriculumPlugin, draws: int = 400) -> list[int | None]:
    return [curriculum.sample_level(BOTH, 0, Random(f"0/level/{draw}")) for draw in range(draws)]


def test_level_two_grows_from_ten_percent_to_half() -> None:
    curriculum = plugin()
    assert levels(curriculum).count(2) == pytest.approx(40, abs=15)
    for step in range(40):
        curriculum.observe_group(group(2), step)
    assert levels(curriculum).count(2) == pytest.approx(200, abs=30)


@pytest.mark.parametrize("mode", ["published", "even_odds"])
def test_two_ranks_that_saw_the_same_draw_the_same(mode: str) -> None:
    ranks = [plugin(mode=mode), plugin(mode=mode)]
    drawn = []
    for rank in ranks:
        for step in range(12):
            rank.observe_group(group(step % 5, level=1 + step % 2), step)
        drawn.append(levels(rank))
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {1, 2}


def test_even_odds_chooses_tasks_alike_on_every_rank_and_after_a_resume_and_the_schedule_declines() -> None:
    given = [Task(f"task {n}", 1, str(n), family="odd" if n % 2 else "even") for n in range(100)]
    ranks = [plugin(mode="even_odds"), plugin(mode="even_odds")]
    for step, task in enumerate(given[:20]):
        scores = [replace(score, task_key=task.key, family=task.family) for score in group(step % 5)]
        for rank in ranks:
            rank.observe_group(scores, step)
    resumed = plugin(mode="even_odds")
    resumed.load_state_dict(json.loads(json.dumps(ranks[0].state_dict())))
    first, second, third = (
        [rank.sample_task(given, 20, Random(draw)).id for draw in range(50)] for rank in (*ranks, resumed)
    )
    assert first == second == third
    assert len(set(first)) > 10
    assert plugin().sample_task(given, 20, Random(0)) is None


@pytest.mark.parametrize("mode", ["published", "even_odds"])
def test_a_killed_run_goes_on_as_if_it_had_not_been(mode: str) -> None:
    through, killed = plugin(mode=mode), plugin(mode=mode)
    for step in range(7):
        for run in (through, killed):
            run.observe_group(group(step % 4, level=1 + step % 2), step)
            run.sample_level(BOTH, step, Random(step))
    resumed = plugin(mode=mode)
    resumed.load_state_dict(json.loads(json.dumps(killed.state_dict())))
    for step in range(7, 14):
        for run in (through, resumed):
            run.observe_group(group(3), step)
    assert levels(resumed) == levels(through)
    assert resumed.collect_metrics(14) == through.collect_metrics(14)
    assert resumed.state_dict() == through.state_dict()


def test_a_checkpoint_of_another_mode_is_refused_with_the_remedy() -> None:
    with pytest.raises(PresetError, match=r"mode published.*even_odds") as refusal:
        plugin(mode="even_odds").load_state_dict(plugin().state_dict())
    assert "mode=published" in refusal.value.remedy


def test_it_declines_where_there_is_nothing_to_choose() -> None:
    assert plugin().sample_level({1: LevelStats(1)}, 0, Random(0)) is None
    assert plugin({"levels": {1: 1.0, 2: 0.0}}).sample_level(BOTH, 0, Random(0)) is None
    assert plugin({"levels": {1: 1.0}}, mode="even_odds").sample_level(BOTH, 0, Random(0)) is None


def test_faults_of_ours_teach_nothing() -> None:
    curriculum = plugin()
    for step in range(5):
        curriculum.observe_group(group(0, of=0, infra=4), step)
    assert curriculum.collect_metrics(5)["window_groups"] == 0
    for step in range(5):
        curriculum.observe_group(group(2, of=4, infra=4), step)
    assert curriculum.collect_metrics(5)["share_level_2"] == 0.15


def test_metrics_say_mix_rates_and_the_last_change() -> None:
    curriculum = plugin()
    for step in range(6):
        curriculum.observe_group(group(2), step)
    curriculum.observe_group(group(1, level=2), 6)
    drawn = levels(curriculum, 100)
    figures = curriculum.collect_metrics(6)
    assert figures["share_level_2"] == 0.15
    assert figures["chosen_level_2"] == drawn.count(2) / 100
    assert (figures["correct_rate_level_1"], figures["correct_rate_level_2"]) == (0.5, 0.25)
    assert (figures["last_change_step"], figures["last_change_mean_rate"], figures["changes"]) == (4, 0.5, 1)
    assert all(isinstance(value, float) for value in figures.values())


def test_a_change_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    curriculum = plugin()
    with caplog.at_level("INFO"):
        for step in range(5):
            curriculum.observe_group(group(2), step)
    assert "0.10 -> 0.15 at step 4: mean level-1 correct rate 0.50 over the last 5 groups is at least" in caplog.text


def reweighed(curriculum: CurriculumPlugin, scores: list[Score], credits: list[Credit] | None) -> list[Credit] | None:
    """What the wrapper makes of another's credits, called as pluggy calls it."""
    wrapper = curriculum.assign_credit(scores)
    next(wrapper)
    with pytest.raises(StopIteration) as stop:
        wrapper.send(credits)
    return stop.value.value


def test_credit_is_left_alone_unless_asked_for() -> None:
    credits = [Credit(0.1, 1.0)]
    assert reweighed(plugin(), group(1, of=1), credits) is credits
    assert reweighed(plugin(speed_share_end=0.5, horizon=10), group(1, of=1), None) is None


def test_plan_weight_decays_and_speed_takes_its_share() -> None:
    preset = {"reward": {"alpha": 0.1}, "train": {"grpo": {"max_steps": 20}}}
    curriculum = plugin(preset, plan_weight_end=0.0, speed_share_end=0.5)
    [start] = reweighed(curriculum, group(1, of=1, step=0), [Credit(0.1, -1.0)])
    [middle] = reweighed(curriculum, group(1, of=1, step=10), [Credit(0.1, -1.0)])
    [end] = reweighed(curriculum, group(1, of=1, step=20), [Credit(0.1, -1.0)])
    assert [c.plan for c in (start, middle, end)] == pytest.approx([0.1, 0.05, 0.0])
    assert [c.code for c in (start, middle, end)] == pytest.approx([-1.0, -0.5, 0.0])
    assert curriculum.collect_metrics(10)["plan_weight"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("preset", "words"), [({"reward": {"alpha": 0.0}}, "reward.alpha is 0"), ({}, "how long the run is")]
)
def test_weights_that_cannot_be_are_said_at_once(preset: dict, words: str) -> None:
    with pytest.raises(PresetError, match=words):
        plugin(preset, speed_share_end=0.5)


def test_in_a_session_it_reweighs_what_the_base_assigned_and_owns_nothing() -> None:
    group_of_two = [*group(1, of=1, step=40), *group(0, of=1, step=40)]
    plain = session_with().assign_credit(group_of_two)
    assert session_with(CurriculumPlugin).assign_credit(group_of_two) == plain
    options = {"curriculum": {"speed_share_end": 0.5, "horizon": 40}}
    halved = session_with(CurriculumPlugin, options=options).assign_credit(group_of_two)
    assert [credit.code for credit in halved] == pytest.approx([credit.code / 2 for credit in plain])


def test_with_the_curriculum_off_the_base_draws_as_before() -> None:
    off, declines = session_with(), session_with(CurriculumPlugin)
    for draw in range(50):
        one_level = {1: LevelStats(1)}
        assert declines.sample_level(one_level, 0, Random(draw)) == off.sample_level(one_level, 0, Random(draw)) == 1
    drawn = [off.sample_level(BOTH, 0, Random(f"0/level/{draw}")) for draw in range(400)]
    assert drawn.count(2) == pytest.approx(40, abs=15)
