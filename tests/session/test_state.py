"""What a session keeps and hands on: locks, state, and the same session in another process."""

import json
import multiprocessing

import pytest

from tritonrl_core.errors import PluginError
from tritonrl_core.hookspecs import HOOK_API
from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session import Session, generate_tasks, tasks_by_level
from tritonrl_core.testing import sample_score, sample_task, session_with


class Counting(Plugin):
    name = "counting"

    class Options(PluginOptions):
        start: int = 0

    def __init__(self, options=None, context=None):
        super().__init__(options, context)
        self.count = self.options.start

    @hookimpl
    def observe_group(self, scores):
        self.count += len(scores)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Forgetful(Counting):
    def load_state_dict(self, state):
        raise KeyError("lost")


def test_state_goes_out_as_json_and_comes_back():
    session = session_with(Counting, options={"counting": {"start": 2}})
    session.observe_group([sample_score()] * 3, 0)
    saved = json.loads(json.dumps(session.state_dict()))
    again = session_with(Counting)
    again.load_state_dict(saved)
    assert again.state_dict() == saved == {"base": {}, "counting": {"count": 5}}


def test_state_of_a_plugin_that_is_not_enabled_is_refused():
    with pytest.raises(PluginError, match="saved state of plugin 'counting'") as caught:
        session_with().load_state_dict({"counting": {}})
    assert "preset that the run was started with" in caught.value.remedy


def test_state_that_cannot_be_taken_back_is_blamed():
    with pytest.raises(PluginError, match=r"plugin 'counting'.*its state failed: KeyError: 'lost'"):
        session_with(Forgetful).load_state_dict({"counting": {}})


def test_the_lock_says_distributions_versions_and_all_options():
    lock = Session.open(load_preset("multi_input_only", ["plugins.multi_input.num_tests=3"])).lock()
    base, multi_input = lock["plugins"]
    assert lock["hook_api"] == HOOK_API
    assert (base["name"], base["distribution"]) == ("base", "tritonrl-core")
    assert (multi_input["distribution"], multi_input["version"]) == ("tritonrl-plugin-multi-input", "0.1.0")
    assert multi_input["options"]["num_tests"] == 3
    assert multi_input["options"]["layouts"] is True


def test_differences_from_a_lock_are_told_one_by_one():
    lock = session_with(Counting, options={"counting": {"start": 2}}).lock()
    assert session_with(Counting, options={"counting": {"start": 2}}).lock_differences(lock) == []
    assert session_with(Counting).lock_differences(lock) == [
        "plugin 'counting': options was {'start': 2} and is {'start': 0}"
    ]
    assert session_with().lock_differences(lock) == ["plugin 'counting' was enabled then"]
    assert session_with(Counting).lock_differences(session_with().lock()) == ["plugin 'counting' was not enabled then"]


def lock_of(data):
    return Session.open(Preset.from_data(data)).lock()


def test_another_process_rebuilds_the_same_session():
    preset = load_preset("all_extensions", ["plugins.funnel.compile=false", "seed=5"])
    data = json.loads(json.dumps(preset.dump()))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(lock_of, (data,)) == Session.open(preset).lock()


def test_a_plugin_knows_the_preset_and_its_seed():
    session = session_with(Counting, preset=Preset.from_data({"seed": 8, "levels": {1: 1.0}}))
    context = session.plugins["counting"].plugin.context
    assert context.seed == 8
    assert context.preset["levels"] == {1: 1.0}


def test_tasks_group_by_level():
    tasks = [sample_task(2, "b"), sample_task(1, "a"), sample_task(2, "c")]
    assert {level: [task.id for task in some] for level, some in tasks_by_level(tasks).items()} == {
        1: ["a"],
        2: ["b", "c"],
    }


def test_generate_tasks_takes_a_preset_or_its_name():
    by_name = generate_tasks("baseline")
    assert by_name == generate_tasks(load_preset("baseline"))
    assert {task.split for task in by_name} == {"train"}
    assert set(tasks_by_level(by_name)) == {1, 2}
    assert {task.id for task in generate_tasks("baseline", "held_out")}.isdisjoint(task.id for task in by_name)
