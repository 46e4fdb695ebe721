"""Each way in which a plugin can fail to load has its own message, which names the culprit and the remedy."""

import subprocess
import sys

import pytest

from tritonrl_core.errors import PluginError, PresetError
from tritonrl_core.hookspecs import HOOK_API
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session import Session, explain
from tritonrl_core.session.discovery import SHIPPED, installed_plugins, load_problem, missing_plugins, pip_hint

GOOD = """
class Mine(Plugin):
    name = "mine"
    class Options(PluginOptions):
        count: int = 3
    @hookimpl
    def collect_metrics(self, step):
        return {"count": self.options.count}
"""


def enabling(*plugins, **data) -> Preset:
    return Preset.from_data({"name": "test", "plugins": list(plugins), **data})


def failure(preset) -> PluginError:
    with pytest.raises(PluginError) as caught:
        Session.open(preset)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value


def test_an_installed_plugin_is_found_by_its_entry_point(install):
    install("acme-mine", "mine", GOOD)
    session = Session.open(enabling({"mine": {"count": 5}}))
    assert session.collect_metrics(0)["mine/count"] == 5.0
    item = installed_plugins()["mine"]
    assert (item.distribution, item.version, item.summary) == ("acme-mine", "2.3", "Made by a test.")


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ("Metadata-Version: 2.1\nName: acme-mine\nVersion: 2.3\n", ("acme-mine", "2.3", "")),
        (None, ("?", "?", "")),
    ],
)
def test_metadata_need_not_be_whole(install, tmp_path, metadata, shown):
    install("acme-mine", "mine", 'class Mine(Plugin):\n    name = "mine"')
    place = tmp_path / "acme_mine-2.3.dist-info" / "METADATA"
    place.unlink() if metadata is None else place.write_text(metadata)
    found = installed_plugins()["mine"]
    assert (found.distribution, found.version, found.summary) == shown
    assert load_problem(found) == ""


def test_installed_is_not_enabled(install):
    install("acme-mine", "mine", "raise RuntimeError('a plugin that is not enabled is not imported')")
    session = Session.open(enabling())
    assert list(session.plugins) == ["base"]
    assert "mine" in [item.name for item in session.explain().idle]


@pytest.mark.parametrize("name", SHIPPED)
def test_one_of_ours_that_is_not_installed_gives_the_pip_line(name, monkeypatch):
    monkeypatch.setattr("tritonrl_core.session.discovery.entry_points", lambda **_: [])
    error = failure(load_preset("all_extensions", [f"plugins=[{name}]"]))
    assert f"plugin {name!r} is not installed" in error.message
    assert f"--set plugins=[{name}]" in error.message
    assert error.remedy == f"pip install tritonrl-plugin-{name.replace('_', '-')}" == pip_hint(name)


def test_several_that_are_not_installed_are_one_pip_line(monkeypatch):
    monkeypatch.setattr("tritonrl_core.session.discovery.entry_points", lambda **_: [])
    error = failure(load_preset("easy_combo"))
    assert "easy_combo.yaml:6: plugins multi_input, curriculum, funnel are not installed" in error.message
    assert error.remedy == f"pip install {' '.join(missing_plugins(load_preset('easy_combo')))}"


def test_missing_plugins_are_named_by_distribution(monkeypatch):
    assert missing_plugins(load_preset("easy_combo")) == []
    monkeypatch.setattr("tritonrl_core.session.discovery.entry_points", lambda **_: [])
    assert missing_plugins(load_preset("easy_combo")) == [
        "tritonrl-plugin-multi-input", "tritonrl-plugin-curriculum", "tritonrl-plugin-funnel",
    ]  # fmt: skip


def test_an_unknown_plugin_gives_the_nearest_name_and_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("plugins:\n  - multi_inputs\n")
    error = failure(load_preset(path))
    assert "mine.yaml:2: there is no plugin 'multi_inputs'" in error.message
    assert error.remedy == "Did you mean 'multi_input'?"  # and no line that installs what a typo names


def test_a_plugin_of_a_third_party_gives_the_line_that_installs_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("plugins:\n  - zebra_stripes\n")
    assert "pip install tritonrl-plugin-zebra-stripes" in failure(load_preset(path)).remedy


def test_a_distributions_name_gives_the_presets(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("plugins:\n  - multi-input\n")
    assert "underscores: 'multi_input'" in failure(load_preset(path)).remedy


def test_two_distributions_with_one_plugin_name_are_both_named(install):
    install("acme-mine", "mine", GOOD)
    install("other-mine", "mine", GOOD)
    assert "installed twice, by acme-mine 2.3 and other-mine 2.3" in failure(enabling("mine")).message


MARK = GOOD + "    @hookimpl"
HOOK = MARK + "\n    "

BROKEN = {
    "an import that fails": (
        "import no_such_module", "does not import: ModuleNotFoundError: No module named 'no_such_module'"),
    "a syntax error": ("class Mine(", "does not import: SyntaxError"),
    "an exit on import": ("raise SystemExit(3)", "does not import: SystemExit: 3"),
    "a class that is not there": ("", "does not import: AttributeError"),
    "something that is no plugin": ("class Mine: pass", "acme_mine:Mine is not a plugin class"),
    "another name": (GOOD.replace('"mine"', '"other"'), "its class calls itself 'other'"),
    "no name": (GOOD.replace('    name = "mine"\n', ""), "its class has no `name`"),
    "options of another kind": ("class Mine(Plugin):\n    name = 'mine'\n    Options = dict", "its Options are no"),
    "a newer hook API": (GOOD + "    hook_api = '>=2'", f"is made for hook API >=2; this core has {HOOK_API}"),
    "an older hook API": (GOOD + "    hook_api = '<1.0'", f"is made for hook API <1.0; this core has {HOOK_API}"),
    "no version range": (GOOD + "    hook_api = 'any'", "hook_api is 'any', which is no version range"),
    "a start that fails": (GOOD + "    def __init__(self, *a):\n        1 / 0", "does not start: ZeroDivisionError"),
    "an unknown hook": (
        HOOK + "def check_corectness(self, task):\n        ...",
        "implements 'check_corectness', which is no hook"),
    "a wrapper without its mark": (
        HOOK + "def check_correctness(self, task):\n        return (yield)",
        "check_correctness() has a `yield`, but is not marked as a wrapper"),
    "a hook without its mark": (
        GOOD + "    def check_correctness(self, task):\n        ...",
        "check_correctness() is a hook, but has no @hookimpl above it"),
    "a wrong argument": (
        HOOK + "def measure_speed(self, task, programm):\n        ...",
        "measure_speed() takes an argument 'programm' that the hook does not have"),
    "an argument with a default": (
        HOOK + "def measure_speed(self, task=None):\n        ...", "gives its argument 'task' a default"),
    "a catch-all argument": (
        HOOK + "def measure_speed(self, **given):\n        ...", "measure_speed() takes **given"),
    "an async hook": (
        HOOK + "async def measure_speed(self, task):\n        ...", "measure_speed() is `async def`"),
    "an async generator": (
        HOOK + "async def generate_tasks(self, split):\n        yield", "generate_tasks() is `async def`"),
    "a place in the queue": (
        MARK + "(tryfirst=True)\n    def measure_speed(self, task):\n        ...",
        "measure_speed() asks for tryfirst"),
    "an old-style wrapper": (
        MARK + "(hookwrapper=True)\n    def measure_speed(self, task):\n        yield", "is an old-style wrapper"),
    "a wrapper that cannot wrap": (
        MARK + "(wrapper=True)\n    def measure_speed(self, task):\n        return None",
        "measure_speed() is a wrapper without `yield`"),
    "a wrapper of many answers": (
        MARK + "(wrapper=True)\n    def generate_tasks(self, split):\n        return (yield)",
        "generate_tasks() wraps a hook that has many answers"),
}  # fmt: skip
REMEDIES = {
    "an import that fails": "pip install --upgrade acme-mine",
    "an unknown hook": "Did you mean 'check_correctness'?",
    "a wrong argument": "task, program",
    "a hook without its mark": "@hookimpl",
    "another name": "name = 'mine'",
    "a newer hook API": "pip install --upgrade tritonrl-core acme-mine",
    "an async hook": "plain `def`",
    "an old-style wrapper": "@hookimpl(wrapper=True)",
    "a place in the queue": "the preset's order decides",
}


@pytest.mark.parametrize("way", BROKEN)
def test_each_broken_plugin_has_its_message(install, way):
    source, message = BROKEN[way]
    install("acme-mine", "mine", source)
    error = failure(enabling("mine"))
    assert message in error.message
    assert "acme-mine 2.3" in error.message
    assert REMEDIES.get(way, "") in error.remedy


def test_a_broken_import_keeps_its_cause(install):
    install("acme-mine", "mine", "import no_such_module_at_all")
    assert isinstance(failure(enabling("mine")).__cause__, ModuleNotFoundError)


def test_load_problem_says_why_or_nothing(install):
    install("acme-mine", "mine", "import no_such_module_at_all")
    assert "no_such_module_at_all" in load_problem(installed_plugins()["mine"])
    assert load_problem(installed_plugins()["fusion"]) == ""


def test_an_optional_hook_of_a_newer_core_is_left_out(install):
    install(
        "acme-mine", "mine", GOOD + "    @hookimpl(optionalhook=True)\n    def a_hook_to_come(self, x):\n        ..."
    )
    assert Session.open(enabling("mine")).collect_metrics(0)["mine/count"] == 3.0


OPTIONS = {
    "unknown": ({"cuont": 3}, "plugins.mine.cuont is not a known key", "Did you mean 'count'?"),
    "wrong type": ({"count": "many"}, "plugins.mine.count is 'many': must be a valid integer", "README"),
}


@pytest.mark.parametrize("mistake", OPTIONS)
def test_a_bad_option_names_its_line(install, tmp_path, mistake):
    options, message, remedy = OPTIONS[mistake]
    [(key, value)] = options.items()
    install("acme-mine", "mine", GOOD)
    path = tmp_path / "test.yaml"
    path.write_text(f"plugins:\n  - mine:\n      {key}: {value}\n")
    error = failure(load_preset(path))
    assert f"test.yaml:3: {message}" in error.message
    assert remedy in error.remedy


def test_a_plugin_without_options_says_so():
    class Bare(__import__("tritonrl_core.plugin").plugin.Plugin):
        name = "bare"

    with pytest.raises(PluginError, match=r"plugins\.bare\.x is not a known key") as caught:
        Session.open(enabling({"bare": {"x": 1}}), discover=False, plugins=[Bare])
    assert caught.value.remedy == "It takes no keys."


def test_a_session_that_discovers_nothing_finds_nothing():
    with pytest.raises(PluginError, match="'fusion' was not given, and this session discovers nothing"):
        Session.open(enabling("fusion"), discover=False)


def test_the_base_cannot_be_listed():
    with pytest.raises(PresetError, match="the base is always enabled"):
        Session.open(enabling("base"))


def test_explain_tells_of_problems_instead_of_raising(install):
    install("acme-mine", "mine", "import no_such_module_at_all")
    told = explain(enabling("mine", "no_such_plugin", {"fusion": {"cuont": 1}}, "funnel"))
    assert [problem.plugin for problem in told.problems] == ["mine", "no_such_plugin", "fusion"]
    assert all(problem.message and problem.remedy for problem in told.problems)
    assert [who.plugin for who in told.enabled] == ["base", "funnel"]


def test_opening_a_session_imports_no_heavy_package():
    code = (
        "import sys; from tritonrl_core import load_preset; from tritonrl_core.session import Session;"
        "Session.open(load_preset('all_extensions')).explain();"
        "print([name for name in ('torch', 'triton', 'transformers', 'trl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_broken_plugins_words_are_listed_as_they_are(install):
    from typer.testing import CliRunner

    from tritonrl_core.cli.app import app

    install("acme-mine", "mine", 'raise ImportError("no [/opt/lib] and no [bold]library")')
    listed = CliRunner().invoke(app, ["plugins", "list"])
    assert listed.exit_code == 0, listed.exception
    assert "ImportError: no [/opt/lib] and no [bold]library" in listed.output
