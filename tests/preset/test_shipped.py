"""The ten presets that come with the core, and the defaults that the design fixes."""

import pytest

from tritonrl_core.preset import Preset, available_presets, load_preset
from tritonrl_core.preset.sources import read_yaml

PLUGINS = {
    "baseline": [],
    "multi_input_only": ["multi_input"],
    "fusion_data_only": ["fusion"],
    "curriculum_only": ["curriculum"],
    "sandbox_only": ["sandbox"],
    "calibrated_timing_only": ["timing"],
    "staged_eval_only": ["funnel"],
    "easy_combo": ["multi_input", "curriculum", "funnel"],
    "all_extensions": ["fusion", "multi_input", "curriculum", "sandbox", "timing", "funnel"],
    "gpu_8b": ["fusion", "multi_input", "curriculum", "sandbox", "timing", "funnel"],
}


@pytest.mark.parametrize("name", PLUGINS)
def test_each_shipped_preset_enables_its_plugins(name):
    preset = load_preset(name)
    assert preset.name == name
    assert [choice.name for choice in preset.plugins] == PLUGINS[name]


def test_available_presets_names_all_shipped_ones():
    assert set(PLUGINS) <= set(available_presets())


def test_baseline_says_every_key_with_its_default():
    said = read_yaml(available_presets()["baseline"].read_text(), "baseline")[0]
    trainer = {key: said["train"].pop(key) for key in ("sft", "grpo")}  # TRL's own fields, tuned for the bundled model
    assert all(isinstance(fields, dict) for fields in trainer.values())
    default = Preset(name="baseline").dump()
    del default["train"]["sft"], default["train"]["grpo"]
    assert said == default


def test_defaults_are_those_of_the_design():
    preset = load_preset("baseline")
    assert preset.levels == {1: 0.9, 2: 0.1}
    assert preset.on_hook_failure == "infra"
    assert preset.verifier.model_dump() == {
        "device": "auto", "target": "auto", "cpu_workers": "auto", "gpus": "auto", "gpu_memory": "auto",
        "timeout_s": 30.0, "delegation": "layout_only", "precision": "ieee", "url": None,
    }  # fmt: skip
    assert preset.reward.alpha == 0.1
    assert (preset.reward.speed.kind, preset.reward.speed.cap) == ("capped", 3.0)
    assert preset.train.model == "nano"
    assert (preset.eval.suite, preset.eval.samples) == ("auto", 4)


def test_easy_combo_says_five_inputs():
    assert load_preset("easy_combo").plugins[0].options == {"num_tests": 5}
