"""What every plugin must pass. Subclass, name the plugin, and pytest finds the tests.

    class TestMine(PluginContract):
        plugin = MyPlugin
        options = {"count": 3}     # where the defaults take long

It asks each hook with plain sample arguments; whether the answers are any good is for tests of the plugin's own.
"""

from __future__ import annotations

import base64
import copy
import inspect
import json
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, ClassVar, NoReturn

import pytest
from pydantic import ValidationError

from tritonrl_core.bench.resolve import visible_gpus
from tritonrl_core.errors import PluginError
from tritonrl_core.hookspecs import RULES
from tritonrl_core.plugin import Plugin
from tritonrl_core.preset import load_preset
from tritonrl_core.session import Session
from tritonrl_core.session.discovery import InstalledPlugin, check_plugin_class, installed_plugins, load_plugin
from tritonrl_core.session.guard import Owner, guarded
from tritonrl_core.session.implementations import implementations
from tritonrl_core.testing.labelled import labelled_candidates
from tritonrl_core.testing.samples import hook_arguments, sample_group
from tritonrl_core.testing.sessions import session_with
from tritonrl_core.types import SandboxResult
from tritonrl_core.verifier import Verifier

REBUILD = """
import json, sys
from tritonrl_core.preset import Preset
from tritonrl_core.session import Session
print(json.dumps(Session.open(Preset.from_data(json.load(sys.stdin))).lock()))
"""


NOT_ANYWHERE = ("sandbox_exec", "open_bench")
"""Hooks that start processes: the first belongs in a single-threaded worker, the second is costly to ask twice."""


VERIFYING = {"open_bench", *(hook for hook, rule in RULES.items() if rule.verifying)}
"""Hooks that have a part in a verdict."""


class PluginContract:
    """Tests that hold for every plugin. Set `plugin`, and `options` where the defaults are slow to test with."""

    plugin: ClassVar[type[Plugin]]
    options: ClassVar[Mapping[str, Any]] = {}

    def test_it_is_installed_under_its_name(self) -> None:
        installed = installed_plugins()
        assert self.plugin.name in installed, f"no entry point {self.plugin.name!r} in the group tritonrl.plugins"
        assert load_plugin(installed[self.plugin.name]) is self.plugin

    def test_its_hooks_exist_and_take_the_arguments_of_their_specs(self) -> None:
        check_plugin_class(self.plugin, InstalledPlugin(self.plugin.name, "the plugin under test", "0", "test"))
        assert implementations(self.plugin), "the plugin implements no hook"

    def test_its_options_have_defaults_and_refuse_what_they_do_not_know(self) -> None:
        options = self.plugin.Options()
        assert self.plugin.Options.model_validate(options.model_dump()) == options
        with pytest.raises(ValidationError):
            self.plugin.Options.model_validate({"no_such_option_of_any_plugin": 1})
        with pytest.raises(PluginError, match="no_such_option_of_any_plugin"):
            session_with(self.plugin, options={self.plugin.name: {"no_such_option_of_any_plugin": 1}})

    def test_it_loads_where_nothing_else_is(self) -> None:
        session = self._session()
        assert list(session.plugins) == ["base", self.plugin.name]
        assert json.loads(json.dumps(session.lock())) == session.lock()

    def test_its_hooks_answer_or_decline_and_do_so_again(self) -> None:
        for hook in self._hooks():
            random.seed(1)
            first = self._ask(self._session(), hook)
            random.seed(2)  # only what it is given may decide, not the process's own random numbers
            assert _comparable(self._ask(self._session(), hook)) == _comparable(first), f"{hook}() answers differently"

    def test_it_leaves_its_inputs_alone(self) -> None:
        for hook in self._hooks():
            given = dict(hook_arguments(hook))
            compared = {key: value for key, value in given.items() if key not in ("rng", "program", "job")}
            before = copy.deepcopy(compared)
            self._ask(self._session(), hook, given)
            assert compared == before, f"{hook}() changed its arguments"

    def test_its_state_survives_json_and_another_object(self) -> None:
        session = self._session()
        for step in range(8):
            session.observe_group(sample_group(level=1 + step % 2), step)
        saved = json.loads(json.dumps(session.state_dict()))
        again = self._session()
        again.load_state_dict(saved)
        assert json.loads(json.dumps(again.state_dict())) == saved
        for hook in {"sample_level", "sample_task"} & set(self._hooks()):
            assert self._ask(again, hook) == self._ask(session, hook)

    def test_it_can_be_rebuilt_in_another_process(self) -> None:
        preset = load_preset("baseline").with_plugins(**{self.plugin.name: dict(self.options)})
        done = subprocess.run(
            [sys.executable, "-c", REBUILD],
            input=json.dumps(preset.dump()),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == Session.open(preset).lock()

    def test_its_hooks_may_be_called_from_many_threads(self) -> None:
        session = self._session()
        hooks = [hook for hook in self._hooks() if hook not in NOT_ANYWHERE]
        with ThreadPoolExecutor(max_workers=8) as pool:
            calls = [pool.submit(self._ask, session, hook) for _ in range(16) for hook in hooks]
            for call in calls:
                call.result()

    @pytest.mark.slow
    def test_known_candidates_get_the_verdicts_they_must(self) -> None:
        """On the CPU, with the baseline and this plugin only; see `labelled_candidates`."""
        self._judge_known("cpu")

    @pytest.mark.gpu
    def test_known_candidates_get_the_verdicts_they_must_on_a_gpu(self) -> None:
        """The same, replayed on a GPU where there is one."""
        if not visible_gpus():
            pytest.skip("there is no NVIDIA GPU here")
        self._judge_known("cuda")

    # -- inside --------------------------------------------------------------------------------------------------------

    def _judge_known(self, device: str) -> None:
        if not VERIFYING & {item.hook for item in implementations(self.plugin)}:
            pytest.skip(f"{self.plugin.name} has no part in a verdict")
        settings = [f"verifier.device={device}", "verifier.cpu_workers=1", "verifier.timeout_s=5"]
        samples = labelled_candidates()
        preset = load_preset("baseline", settings).with_plugins(**{self.plugin.name: dict(self.options)})
        with Verifier(preset) as verifier:
            scores = verifier.verify_batch([(sample.task, sample.candidate) for sample in samples])
        told = {sample.label: score.verdict for sample, score in zip(samples, scores, strict=True)}
        unlike = {
            sample.label: f"{told[sample.label].status}: {told[sample.label].reason}"
            for sample in samples
            if told[sample.label].status not in sample.statuses
        }
        assert not unlike

    def _session(self) -> Session:
        return session_with(self.plugin, options={self.plugin.name: self.options})

    def _hooks(self) -> list[str]:
        """Hooks to ask: those that it answers, and those that it wraps where the base may be asked too."""
        found = implementations(self.plugin)
        return [item.hook for item in found if not (item.wrapper and item.hook in NOT_ANYWHERE)]

    def _ask(self, session: Session, hook: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Ask the plugin alone (a wrapper: around the base), guarded as in a session: a wrong type or an exception is a
        `HookFailure`.
        """
        owner: Owner = session.plugins[self.plugin.name]
        given = hook_arguments(hook) if arguments is None else arguments
        found = next(item for item in implementations(self.plugin) if item.hook == hook)
        if found.wrapper:
            return getattr(session, hook)(**given)
        method = getattr(owner.plugin, found.method)
        taken = [given[name] for name in inspect.signature(method).parameters]
        ask = guarded(owner, hook, method, lambda *_: None)
        if hook != "sandbox_exec":
            return ask(*taken)
        answer = forked(lambda: ask(*taken))
        assert answer is None or (answer.outcome, answer.payload) == ("ok", b"done"), answer
        return answer


def forked(call: Callable[[], SandboxResult | None]) -> SandboxResult | None:
    """What a call gives in a forked child: that has one thread, as a worker has, whatever this process has by now.

    Raises `AssertionError` with the words of what the call raised.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: the child calls and ends
        pid = os.fork()
    if pid == 0:
        _answer_and_end(call, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    told = json.loads(data or b'{"raised": "the child ended without an answer"}')
    assert told is None or "raised" not in told, told["raised"]
    return None if told is None else SandboxResult(**{**told, "payload": base64.b64decode(told["payload"])})


def _answer_and_end(call: Callable[[], SandboxResult | None], writer: int) -> NoReturn:
    try:
        answer = call()
        told = None if answer is None else {**asdict(answer), "payload": base64.b64encode(answer.payload).decode()}
    except BaseException as error:  # noqa: BLE001 - the boundary of a child: whatever it was is told to the parent
        told = {"raised": f"{type(error).__name__}: {error}"}
    try:
        os.write(writer, json.dumps(told).encode()[: 1 << 16])
    finally:
        os._exit(0)


def _comparable(answer: Any) -> Any:
    """An answer without what may differ between two runs: durations, and the identity of a bench."""
    if isinstance(answer, SandboxResult):
        return (answer.outcome, answer.payload, answer.sandbox)
    return type(answer) if hasattr(answer, "program") and hasattr(answer, "close") else answer
