"""The rules of the house: who answers, in which order, under whose name, and what a wrapper may do."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest

from tritonrl_core.errors import HookFailure, InfraError, PluginError, PresetError, TaskError, UsageError
from tritonrl_core.plugin import Plugin, hookimpl
from tritonrl_core.preset import Preset
from tritonrl_core.session import Session
from tritonrl_core.session.hooks import Hooks
from tritonrl_core.testing import FakeProgram, hook_arguments, sample_score, sample_task, sample_timing, session_with
from tritonrl_core.types import Candidate, Credit, LevelStats, Objection, Stage, Status, Verdict

STATS = {1: LevelStats(1), 2: LevelStats(2), 3: LevelStats(3)}


def plugin(plugin_name, **hooks):
    """A plugin class with hooks given as functions of `self` and the hook's arguments."""
    return type(
        plugin_name.title(), (Plugin,), {"name": plugin_name, **{hook: hookimpl(f) for hook, f in hooks.items()}}
    )


def wrapping(plugin_name, **hooks):
    marked = {hook: hookimpl(wrapper=True)(function) for hook, function in hooks.items()}
    return type(plugin_name.title(), (Plugin,), {"name": plugin_name, **marked})


def judging(name, verdict):
    return plugin(name, check_correctness=lambda self, task, program: verdict)


def level(name, answer):
    return plugin(name, sample_level=lambda self, stats: answer)


def judge(session, program=None):
    return session.check_correctness(sample_task(), program or FakeProgram())


# -- order and declining -----------------------------------------------------------------------------------------------


def test_the_later_plugin_is_asked_first():
    session = session_with(level("one", 1), level("two", 2))
    assert session.sample_level(STATS, 0, Random(0)) == 2
    assert session.last_answer("sample_level") == "two"


def test_none_declines_and_the_next_is_asked():
    session = session_with(level("one", 3), level("two", None))
    assert session.sample_level(STATS, 0, Random(0)) == 3


def test_the_base_answers_where_all_decline():
    session = session_with(level("one", None))
    assert session.sample_level(STATS, 0, Random(0)) in (1, 2)
    assert session.last_answer("sample_level") == "base"


def test_the_first_objection_counts_and_none_lets_pass():
    objection = Objection(Status.REJECTED, Stage.AST, "no")
    session = session_with(
        plugin("strict", pre_filter=lambda self, candidate: objection if "bad" in candidate.code else None)
    )
    arguments = hook_arguments("pre_filter")
    assert session.pre_filter(**arguments) is None
    assert session.last_answer("pre_filter") == ""
    assert session.pre_filter(arguments["task"], Candidate.from_code("bad"), FakeProgram()) is objection
    assert session.last_answer("pre_filter") == "strict"


def test_nobody_answering_is_an_error():
    with pytest.raises(PluginError, match=r"nobody answered check_correctness\(\)"):
        Hooks([], {}).answer("check_correctness", **hook_arguments("check_correctness"))


def test_every_listener_is_told():
    heard = []
    listeners = [
        plugin(n, observe_group=lambda self, scores, step: heard.append((self.name, step))) for n in ("one", "two")
    ]
    session_with(*listeners).observe_group([sample_score()], 4)
    assert heard == [("two", 4), ("one", 4)]


def test_metrics_are_prefixed_with_their_plugin():
    session = session_with(
        plugin("one", collect_metrics=lambda self, step: {"x": step}),
        plugin("two", collect_metrics=lambda self: {"x": 0.5}),
    )
    assert session.collect_metrics(3) == {"one/x": 3.0, "two/x": 0.5}


def test_tasks_of_all_plugins_come_together_with_their_origin():
    def some(self, split, seed):
        yield sample_task(2, id=f"{self.name}/{split}/{seed}")

    session = session_with(plugin("one", generate_tasks=some), preset=Preset(name="t", tasks={"suite": "none"}, seed=9))
    assert [(task.id, task.origin) for task in session.generate_tasks("held_out")] == [("one/held_out/9", "one")]


def test_two_tasks_with_one_id_name_both_plugins():
    def same(self, split):
        return [sample_task(id="same")]

    session = session_with(plugin("one", generate_tasks=same), plugin("two", generate_tasks=same))
    with pytest.raises(PluginError, match=r"task id 'same' is given by plugin 'one' .* and by plugin 'two'"):
        session.generate_tasks()
    session = session_with(plugin("one", generate_tasks=lambda self: [sample_task(id="same")] * 2))
    with pytest.raises(PluginError, match="task id 'same' is given twice by plugin 'one'"):
        session.generate_tasks()


# -- owners ------------------------------------------------------------------------------------------------------------

RIGHT = Verdict(Status.PASSED, Stage.FULL)


def test_two_owners_of_one_hook_stop_the_start_with_both_names(install):
    for name in ("first", "second"):
        install(
            f"acme-{name}",
            name,
            f"""
            class Mine(Plugin):
                name = "{name}"
                @hookimpl
                def check_correctness(self, task):
                    ...
        """,
        )
    with pytest.raises(PluginError) as caught:
        Session.open(Preset.from_data({"plugins": ["first", "second"]}))
    assert "check_correctness() has one owner" in caught.value.message
    assert "'first' (acme-first 2.3)" in caught.value.message
    assert "'second' (acme-second 2.3)" in caught.value.message
    assert "owners: {check_correctness: second}" in caught.value.remedy


def test_a_wrapper_needs_no_owner():
    preset = Preset.from_data({"owners": {"check_correctness": "wrap"}})
    with pytest.raises(PresetError, match=r"'wrap' wraps check_correctness\(\) and needs no owner"):
        session_with(turning(lambda verdict: verdict), preset=preset)



@pytest.mark.parametrize("pick", ["one", "two", "base"])
def test_owners_picks_one(pick):
    plugins = [judging("one", RIGHT), judging("two", RIGHT)]
    session = session_with(*plugins, preset=Preset.from_data({"owners": {"check_correctness": pick}}))
    assert judge(session).source == pick
    [told] = [hook for hook in session.explain().hooks if hook.hook == "check_correctness"]
    assert {who.plugin for who in told.passed_over} == {"one", "two"} - {pick}
    assert {who.plugin for who in told.asked} == {pick, "base"}


def test_a_wrapper_owns_nothing():
    def pass_on(self):
        return (yield)

    session = session_with(judging("one", RIGHT), wrapping("two", check_correctness=pass_on))
    assert judge(session).source == "one"


@pytest.mark.parametrize(("owners", "message", "remedy"), [
    ({"check_corectness": "one"}, "'check_corectness' is no hook with one owner", "Did you mean 'check_correctness'?"),
    ({"sample_level": "one"}, "'sample_level' is no hook with one owner", "Known:"),
    ({"check_correctness": "won"}, "'won' is not an enabled plugin that implements check_correctness()", "'one'"),
    ({"measure_speed": "one"}, "'one' is not an enabled plugin that implements measure_speed()", "base"),
])  # fmt: skip
def test_a_pick_that_cannot_be_is_refused(owners, message, remedy):
    with pytest.raises(PresetError) as caught:
        session_with(judging("one", RIGHT), preset=Preset.from_data({"owners": owners}))
    assert message in caught.value.message
    assert remedy in caught.value.remedy


# -- provenance and blame ----------------------------------------------------------------------------------------------


def test_an_answer_that_names_no_source_gets_its_plugins():
    timed = plugin("clock", measure_speed=lambda self, task: sample_timing())
    session = session_with(judging("one", RIGHT), timed)
    assert judge(session).source == "one"
    assert session.measure_speed(sample_task(), FakeProgram()).source == "clock"
    assert judge(session_with()).source == "base"
    assert judge(session_with(judging("one", replace(RIGHT, source="a fleet")))).source == "a fleet"


def test_provenance_holds_under_threads():
    gate = threading.Barrier(8)

    def choose(self, stats, step):
        gate.wait()
        return 1 if step % 2 else None

    session = session_with(plugin("odd", sample_level=choose))

    def one(step):
        session.sample_level(STATS, step, Random(step))
        return session.last_answer("sample_level")

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert list(pool.map(one, range(64))) == ["base", "odd"] * 32


def raising(error):
    def hook(self, task, program):
        raise error

    return plugin("bad", check_correctness=hook)


@pytest.mark.parametrize("error", [ValueError("oh"), KeyError("k"), SystemExit(1), RecursionError(), StopIteration()])
def test_what_a_hook_raises_names_plugin_hook_distribution_and_version(error):
    with pytest.raises(HookFailure) as caught:
        judge(session_with(raising(error)))
    failure = caught.value
    assert (failure.plugin, failure.hook, failure.version) == ("bad", "check_correctness", "given by hand")
    assert failure.distribution
    assert type(error).__name__ in failure.message
    assert "plugin 'bad'" in failure.message
    assert "check_correctness()" in failure.message
    assert failure.__cause__ is error
    assert failure.exit_code == 3


def test_an_exception_is_never_a_decline():
    def fails(self, stats):
        raise RuntimeError("no")

    with pytest.raises(HookFailure, match=r"sample_level\(\) raised RuntimeError: no"):
        session_with(level("one", 1), plugin("bad", sample_level=fails)).sample_level(STATS, 0, Random(0))


def test_a_failing_hook_is_told_with_its_line():
    def fails(self, stats):
        raise RuntimeError("no")

    line = fails.__code__.co_firstlineno + 1
    with pytest.raises(HookFailure) as caught:
        session_with(plugin("bad", sample_level=fails)).sample_level(STATS, 0, Random(0))
    assert caught.value.message.endswith(f"sample_level() raised RuntimeError: no (test_rules.py, line {line})")


def test_an_exception_while_tasks_are_drawn_is_blamed_too():
    def some(self, split):
        yield sample_task(id="first")
        raise RuntimeError("ran dry")

    with pytest.raises(HookFailure, match=r"generate_tasks.. raised RuntimeError: ran dry"):
        session_with(plugin("dry", generate_tasks=some)).generate_tasks()


def test_a_fault_of_the_machine_stays_one():
    fault = InfraError("the bench fell over")
    with pytest.raises(InfraError) as caught:
        judge(session_with(raising(fault)))
    assert caught.value is fault


def test_bad_input_found_by_a_plugin_keeps_its_remedy():
    with pytest.raises(HookFailure, match="raised there is no such file") as caught:
        judge(session_with(raising(UsageError("there is no such file", remedy="Name another."))))
    assert caught.value.remedy == "Name another."


def test_bad_input_found_by_the_base_is_the_users():
    class Broken(FakeProgram):
        def run(self, case, criterion="default"):
            raise TaskError("the reference is broken")

    with pytest.raises(TaskError, match="the reference is broken"):
        judge(session_with(), Broken())


def test_a_broken_reference_is_not_the_plugins_who_asked():
    broken = TaskError("the reference is broken", remedy="Mend it.")

    def fails(self, task, program):
        raise broken

    def wraps(self, task, program):
        yield
        raise broken

    for bad in (plugin("asks", check_correctness=fails), wrapping("wraps", check_correctness=wraps)):
        with pytest.raises(TaskError) as caught:
            judge(session_with(bad))
        assert caught.value is broken


def test_a_keyboard_interrupt_goes_through():
    with pytest.raises(KeyboardInterrupt):
        judge(session_with(raising(KeyboardInterrupt())))


async def coroutine():
    return RIGHT


WRONG_ANSWERS = {
    "check_correctness": ["PASSED", True, Status.PASSED],
    "measure_speed": [1.5],
    "sample_level": ["1", 1.0, True],
    "sample_task": ["l1", 0],
    "pre_filter": [False, "no"],
    "sandbox_exec": [b"done"],
    "generate_tasks": [["a task"], 3, "abc"],
    "assign_credit": [[1.0], [Credit(float("nan"), 0.0)] * 4, 7],
    "collect_metrics": [{"x": "1"}, ["x"], {1: 1.0}],
    "open_bench": ["here"],
}


@pytest.mark.parametrize(
    ("hook", "answer"), [(hook, answer) for hook, some in WRONG_ANSWERS.items() for answer in some]
)
def test_an_answer_of_the_wrong_kind_is_blamed(hook, answer):
    with pytest.raises(HookFailure, match="plugin 'odd'") as caught:
        getattr(session_with(plugin("odd", **{hook: lambda self: answer})), hook)(**hook_arguments(hook))
    assert f"{hook}() answered" in caught.value.message
    assert "None to decline" in caught.value.remedy


def test_a_coroutine_is_no_answer():
    with pytest.raises(HookFailure, match="answered with a coroutine"):
        judge(session_with(plugin("late", check_correctness=lambda self: coroutine())))


def test_a_listener_that_returns_a_coroutine_is_blamed():
    with pytest.raises(HookFailure, match="answered with a coroutine"):
        session_with(plugin("late", observe_group=lambda self: coroutine())).observe_group([], 0)


def test_a_level_without_tasks_is_blamed():
    with pytest.raises(HookFailure, match=r"plugin 'far'.*answered level 9; there are tasks of levels"):
        session_with(level("far", 9)).sample_level(STATS, 0, Random(0))


def test_a_task_that_was_not_given_is_blamed():
    given = hook_arguments("sample_task")
    stranger = replace(given["tasks"][0], id="stranger")
    with pytest.raises(HookFailure, match=r"plugin 'far'.*answered task 'stranger', which is none of the 8"):
        session_with(plugin("far", sample_task=lambda self: stranger)).sample_task(**given)


def test_credits_must_match_their_scores():
    with pytest.raises(HookFailure, match="answered 1 credits for 2 scores"):
        session_with(plugin("short", assign_credit=lambda self: [Credit(0.0, 0.0)])).assign_credit([sample_score()] * 2)


# -- wrappers ----------------------------------------------------------------------------------------------------------


def turning(into, name="wrap"):
    """A wrapper of check_correctness that changes the verdict by a function."""

    def wrap(self, task, program):
        verdict = yield
        return into(verdict)

    return wrapping(name, check_correctness=wrap)


def test_a_wrapper_may_lower_a_verdict_and_becomes_its_source():
    verdict = judge(session_with(turning(lambda v: replace(v, status=Status.WRONG, reason="no"))))
    assert (verdict.status, verdict.source) == (Status.WRONG, "wrap")


def test_a_wrapper_that_adds_facts_is_not_the_source():
    verdict = judge(session_with(turning(lambda v: replace(v, facts={"bytes": 3}))))
    assert (verdict.facts, verdict.source) == ({"bytes": 3}, "base")


def test_wrappers_stack_with_the_later_one_outside():
    seen = []

    def noting(name):
        def note(verdict):
            seen.append(name)
            return verdict

        return turning(note, name)

    session = session_with(noting("inner"), noting("outer"))
    judge(session)
    assert seen == ["inner", "outer"]
    [told] = [hook for hook in session.explain().hooks if hook.hook == "check_correctness"]
    assert [who.plugin for who in told.wrappers] == ["outer", "inner"]


LOWEST_FIRST = [Status.CHEATED, Status.WRONG, Status.INFRA, Status.PASSED]


@pytest.mark.parametrize(
    ("before", "after"), [(a, b) for i, a in enumerate(LOWEST_FIRST) for b in LOWEST_FIRST[i + 1 :]]
)
def test_a_wrapper_may_not_raise_a_verdict(before, after):
    session = session_with(turning(lambda v: replace(v, status=after)))
    with pytest.raises(HookFailure, match=f"plugin 'wrap'.*turned {before} into {after}") as caught:
        judge(session, FakeProgram.ending(before))
    assert "never raise it" in caught.value.remedy


@pytest.mark.parametrize(("into", "what"), [
    (lambda v: None, "returned None instead of the answer"),
    (lambda v: "fine", "answered str 'fine'"),
    (lambda v: replace(v, status="REJECTED"), "answered with status str 'REJECTED'"),
    (lambda v: replace(v, compiled=True), "made compiled true"),
    (lambda v: 1 / 0, "raised ZeroDivisionError"),
])  # fmt: skip
def test_a_wrapper_that_spoils_the_answer_is_blamed(into, what):
    with pytest.raises(HookFailure, match=f"plugin 'wrap'.*{what}"):
        judge(session_with(turning(into)), FakeProgram.ending(Status.BUILD_ERROR, stage=Stage.COMPILE))


def test_a_wrapper_cannot_answer_for_what_failed():
    def swallow(self, task):
        try:
            verdict = yield
        except BaseException:  # noqa: BLE001  (what a plugin must not do)
            return RIGHT
        return verdict

    session = session_with(raising(ValueError("oh")), wrapping("cover", check_correctness=swallow))
    with pytest.raises(HookFailure, match=r"plugin 'bad'.*raised ValueError: oh"):
        judge(session)


@pytest.mark.parametrize("body", ["never", "twice"])
def test_a_wrapper_yields_once(body):
    def never(self, task):
        if task is None:
            yield
        return RIGHT

    def twice(self, task):
        yield
        return (yield)

    with pytest.raises(HookFailure, match=r"plugin 'wrap'.*is a wrapper that (did not yield|yielded twice)"):
        judge(session_with(wrapping("wrap", check_correctness={"never": never, "twice": twice}[body])))


def test_a_wrapper_may_add_an_objection_and_not_take_one_away():
    objection = Objection(Status.REJECTED, Stage.AST, "no")

    def object_always(self):
        yield
        return objection

    def forgive(self):
        yield

    arguments = hook_arguments("pre_filter")
    session = session_with(wrapping("strict", pre_filter=object_always))
    assert session.pre_filter(**arguments) == objection
    assert session.last_answer("pre_filter") == "strict"
    bad = {**arguments, "candidate": Candidate.from_code("x = 1")}
    with pytest.raises(HookFailure, match=r"plugin 'kind'.*removed an objection \(REJECTED\)"):
        session_with(wrapping("kind", pre_filter=forgive)).pre_filter(**bad)


@pytest.mark.parametrize(("into", "what"), [
    (lambda t: replace(t, speedup=9.0), "raised the speedup from 1.5 to 9"),
    (lambda t: replace(t, clock="events"), "called an estimate a measurement"),
    (lambda t: replace(t, reward_allowed=True), "let a figure into the reward"),
])  # fmt: skip
def test_a_wrapper_may_not_flatter_a_timing(into, what):
    def wrap(self, program):
        timing = yield
        return into(timing)

    program = FakeProgram(timing=replace(sample_timing(clock="estimated"), reward_allowed=False))
    with pytest.raises(HookFailure, match=what):
        session_with(wrapping("wrap", measure_speed=wrap)).measure_speed(sample_task(), program)
