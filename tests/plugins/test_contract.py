"""The contract kit notices a plugin that breaks the contract: one plugin for each rule, and one that keeps them all."""

import random
import threading

import pytest

from tritonrl_core.errors import HookFailure, PluginError
from tritonrl_core.plugin import Plugin, PluginOptions, hookimpl
from tritonrl_core.testing import PluginContract, sample_task
from tritonrl_core.types import Stage, Status, Verdict

IN_THIS_PROCESS = [
    "test_its_hooks_exist_and_take_the_arguments_of_their_specs",
    "test_its_options_have_defaults_and_refuse_what_they_do_not_know",
    "test_it_loads_where_nothing_else_is",
    "test_its_hooks_answer_or_decline_and_do_so_again",
    "test_it_leaves_its_inputs_alone",
    "test_its_state_survives_json_and_another_object",
    "test_its_hooks_may_be_called_from_many_threads",
]


class Mine(Plugin):
    name = "mine"


class Good(Mine):
    class Options(PluginOptions):
        share: float = 0.5

    def __init__(self, options=None, context=None):
        super().__init__(options, context)
        self.lock, self.seen = threading.Lock(), 0

    @hookimpl
    def sample_level(self, stats, rng):
        return max(stats) if rng.random() < self.options.share else None

    @hookimpl
    def observe_group(self, scores):
        with self.lock:
            self.seen += len(scores)

    @hookimpl(wrapper=True)
    def check_correctness(self, task):
        return (yield)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class Wayward(Mine):
    """Draws from the process's own random numbers."""

    @hookimpl
    def generate_tasks(self, split):
        return [sample_task(id=f"task-{random.random()}")]


class Meddling(Mine):
    """Changes what it is given."""

    @hookimpl
    def observe_group(self, scores):
        scores.clear()


class Forgetful(Mine):
    """Loses its state."""

    seen = 0

    @hookimpl
    def observe_group(self, scores):
        self.seen += 1

    def state_dict(self):
        return {"seen": self.seen}


class Unsaveable(Mine):
    """Has state that is no JSON."""

    @hookimpl
    def collect_metrics(self, step):
        return None

    def state_dict(self):
        return {"seen": {1, 2}}


class Needy(Mine):
    """Has an option without a default."""

    class Options(PluginOptions):
        path: str

    @hookimpl
    def collect_metrics(self, step):
        return None


class Lax(Mine):
    """Takes any option."""

    class Options(PluginOptions):
        model_config = {"extra": "allow"}  # noqa: RUF012

    @hookimpl
    def collect_metrics(self, step):
        return None


class Empty(Mine):
    """Implements no hook."""


class Misnamed(Mine):
    """Takes an argument that there is not."""

    @hookimpl
    def check_correctness(self, problem):
        return None


class Crowded(Mine):
    """Can't be called from two threads at once."""

    busy = False

    @hookimpl
    def check_correctness(self, task):
        if self.busy:
            raise RuntimeError("two at once")
        self.busy = True
        threading.Event().wait(0.002)
        self.busy = False
        return Verdict(Status.PASSED, Stage.FULL)


class Rude(Mine):
    """Answers with something else than a verdict."""

    @hookimpl
    def check_correctness(self, task):
        return "PASSED"


BROKEN = {
    Wayward: "test_its_hooks_answer_or_decline_and_do_so_again",
    Meddling: "test_it_leaves_its_inputs_alone",
    Forgetful: "test_its_state_survives_json_and_another_object",
    Unsaveable: "test_its_state_survives_json_and_another_object",
    Needy: "test_its_options_have_defaults_and_refuse_what_they_do_not_know",
    Lax: "test_its_options_have_defaults_and_refuse_what_they_do_not_know",
    Empty: "test_its_hooks_exist_and_take_the_arguments_of_their_specs",
    Misnamed: "test_its_hooks_exist_and_take_the_arguments_of_their_specs",
    Crowded: "test_its_hooks_may_be_called_from_many_threads",
    Rude: "test_its_hooks_answer_or_decline_and_do_so_again",
}


def contract_of(mine):
    return type("TestMine", (PluginContract,), {"plugin": mine})()


@pytest.mark.parametrize("test", IN_THIS_PROCESS)
def test_a_good_plugin_passes(test):
    getattr(contract_of(Good), test)()


@pytest.mark.parametrize("mine", BROKEN)
def test_each_broken_plugin_fails_its_test(mine):
    failures = (AssertionError, HookFailure, PluginError, ValueError, TypeError, pytest.fail.Exception)
    with pytest.raises(failures):
        getattr(contract_of(mine), BROKEN[mine])()


def test_a_plugin_that_is_not_installed_is_told_so():
    with pytest.raises(AssertionError, match="no entry point 'mine'"):
        contract_of(Good).test_it_is_installed_under_its_name()


def test_the_list_of_tests_is_complete():
    tests = {name for name in dir(PluginContract) if name.startswith("test_")}
    assert tests == {
        *IN_THIS_PROCESS,
        "test_it_is_installed_under_its_name",
        "test_it_can_be_rebuilt_in_another_process",
        "test_known_candidates_get_the_verdicts_they_must",
        "test_known_candidates_get_the_verdicts_they_must_on_a_gpu",
    }


def test_a_sandbox_is_asked_in_a_process_with_one_thread():
    """The process of the tests may have threads; whoever asks a sandbox in the kit need not know."""
    import os
    import threading

    from tritonrl_core.testing.contract import forked
    from tritonrl_core.types import SandboxResult

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        answer = forked(lambda: SandboxResult("ok", bytes([len(os.listdir("/proc/self/task"))]), sandbox="here"))
        assert answer == SandboxResult("ok", b"\x01", sandbox="here")
        assert forked(lambda: None) is None
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            forked(lambda: SandboxResult(str(1 // 0)))
    finally:
        done.set()
        thread.join()
