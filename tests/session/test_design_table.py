"""The design's table of hooks, extensions and defaults, against the code."""

import pytest

from tritonrl_core.hookspecs import RULES, Kind
from tritonrl_core.preset import available_presets, load_preset
from tritonrl_core.session import Session
from tritonrl_core.session.discovery import SHIPPED, installed_plugins, load_plugin
from tritonrl_core.session.implementations import implementations

HOOKS = {
    "generate_tasks": (Kind.COLLECT, "fusion"),
    "sample_level": (Kind.FIRST, "curriculum"),
    "sample_task": (Kind.FIRST, "curriculum"),
    "pre_filter": (Kind.FIRST, "funnel"),
    "sandbox_exec": (Kind.OWNED, "sandbox"),
    "check_correctness": (Kind.OWNED, "multi_input"),
    "measure_speed": (Kind.OWNED, "timing"),
    "observe_group": (Kind.NOTIFY, "curriculum"),
    "assign_credit": (Kind.OWNED, None),
    "collect_metrics": (Kind.COLLECT, None),
    "open_bench": (Kind.FIRST, None),
}

DEFAULTS = {
    "fusion": {"patterns": "all"},
    "curriculum": {"mode": "published", "start_p": 0.1, "end_p": 0.5, "step": 0.05, "trigger": 0.4, "window": 5},
    "funnel": {"ast": True, "compile": True, "tiny_run": True, "partial_credit": False},
    "sandbox": {"require": "auto"},
    "multi_input": {"num_tests": 5, "shapes": True, "values": True, "dtypes": False, "layouts": True},
    "timing": {"mode": "adaptive", "warmup": 20, "trials": 100, "trim": 0.1},
}


def test_the_hooks_are_those_of_the_design():
    assert {hook: rule.kind for hook, rule in RULES.items()} == {hook: kind for hook, (kind, _) in HOOKS.items()}


def test_the_extensions_are_those_of_the_design():
    assert set(SHIPPED) == set(DEFAULTS)


@pytest.mark.parametrize("hook", [hook for hook, (_, plugin) in HOOKS.items() if plugin])
def test_each_extension_implements_its_hook(hook):
    plugin = load_plugin(installed_plugins()[HOOKS[hook][1]])
    assert hook in [found.hook for found in implementations(plugin)]


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_extensions_defaults_are_those_of_the_design(name):
    options = load_plugin(installed_plugins()[name]).Options().model_dump()
    assert {key: options[key] for key in DEFAULTS[name]} == DEFAULTS[name]


def test_fusion_says_how_many_tasks_and_which_dtypes():
    options = load_plugin(installed_plugins()["fusion"]).Options()
    assert options.count > 0
    assert options.dtypes


@pytest.mark.parametrize("name", DEFAULTS)
def test_published_names_map_onto_ours(name):
    """`enable_multi_input` is listing the plugin; `multi_input_num_tests` is `multi_input.num_tests`."""
    for option, default in DEFAULTS[name].items():
        published = f"{name}_{option}"
        key = published.removeprefix(f"{name}_")
        preset = load_preset("baseline", [f"plugins=[{name}]", f"plugins.{name}.{key}={str(default).lower()}"])
        assert getattr(Session.open(preset).plugins[name].plugin.options, option) == default


@pytest.mark.parametrize("name", sorted(available_presets()))
def test_every_shipped_preset_opens(name):
    preset = load_preset(name)
    assert list(Session.open(preset).plugins) == ["base", *(choice.name for choice in preset.plugins)]


def test_every_hook_with_one_answer_ends_at_the_base():
    for told in Session.open(load_preset("all_extensions")).explain().hooks:
        names = [who.plugin for who in (*told.wrappers, *told.asked)]
        assert told.kind not in (Kind.FIRST, Kind.OWNED) or names[-1] == "base"
        assert HOOKS[told.hook][1] in (None, *names)
