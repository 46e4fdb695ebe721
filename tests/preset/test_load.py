"""What a preset file may say: extending, leaving out, overriding, and plain data in and out."""

import json
from pathlib import Path

import pytest

from tritonrl_core.errors import PresetError
from tritonrl_core.preset import Preset, load_preset


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_works_like_a_name(tmp_path):
    path = write(tmp_path, "mine.yaml", "extends: baseline\nseed: 7\n")
    assert load_preset(path).seed == load_preset(str(path)).seed == 7
    assert load_preset(path).name == "mine"


def test_the_name_is_not_inherited(tmp_path):
    write(tmp_path, "parent.yaml", "name: grown\n")
    assert load_preset(write(tmp_path, "child.yaml", "extends: ./parent.yaml\n")).name == "child"


def test_mappings_merge_and_scalars_and_lists_replace(tmp_path):
    write(tmp_path, "a.yaml", "seed: 1\nverifier: {timeout_s: 5, precision: tf32}\ntasks: {paths: [x, y]}\n")
    preset = load_preset(
        write(tmp_path, "b.yaml", "extends: ./a.yaml\nseed: 2\nverifier: {timeout_s: 6}\ntasks: {paths: [z]}\n")
    )
    assert preset.seed == 2
    assert (preset.verifier.timeout_s, preset.verifier.precision) == (6.0, "tf32")
    assert preset.tasks.paths == ("z",)


def test_plugin_lists_append_and_a_plugin_listed_again_keeps_its_place(tmp_path):
    path = write(tmp_path, "mine.yaml", "extends: easy_combo\nplugins: [timing, multi_input: {shapes: false}]\n")
    assert list(load_preset(path).plugins) == [
        ("multi_input", {"num_tests": 5, "shapes": False}),
        ("curriculum", {}),
        ("funnel", {}),
        ("timing", {}),
    ]


def test_without_removes_inherited_plugins(tmp_path):
    path = write(tmp_path, "mine.yaml", "extends: easy_combo\nwithout: [curriculum, multi_input]\nplugins: [timing]\n")
    assert [choice.name for choice in load_preset(path).plugins] == ["funnel", "timing"]


def test_an_empty_section_says_nothing(tmp_path):
    path = write(tmp_path, "mine.yaml", "extends: baseline\nverifier:\nplugins:\ntrain: {sft: }\n")
    assert load_preset(path).dump() == load_preset("baseline").dump() | {"name": "mine"}


def test_a_plain_exponent_is_a_number(tmp_path):
    path = write(tmp_path, "mine.yaml", "train: {grpo: {learning_rate: 1e-6, name: 1e-6x, run: 3}}\n")
    assert load_preset(path).train.grpo == {"learning_rate": 1e-6, "name": "1e-6x", "run": 3}


def test_of_words_only_true_and_false_are_booleans(tmp_path):
    said = "{a: no, b: off, c: Yes, d: true, e: False, f: falsehood, g: on}"
    path = write(tmp_path, "mine.yaml", f"train: {{grpo: {said}}}\n")
    assert list(load_preset(path).train.grpo.values()) == ["no", "off", "Yes", True, False, "falsehood", "on"]
    assert load_preset("baseline", ["train.grpo.save_strategy=no"]).train.grpo["save_strategy"] == "no"


def test_paths_are_relative_to_the_file_that_says_them(tmp_path, monkeypatch):
    write(tmp_path, "deep/tasks/one.py", "")
    write(tmp_path, "deep/parent.yaml", "tasks: {paths: [tasks, some/hub-name]}\ntrain: {model: ./tasks}\n")
    path = write(tmp_path, "child.yaml", "extends: deep/parent.yaml\n")
    monkeypatch.chdir("/")
    preset = load_preset(path)
    assert preset.tasks.paths == (str(tmp_path / "deep" / "tasks"), "some/hub-name")
    assert preset.train.model == str(tmp_path / "deep" / "tasks")


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("verifier.timeout_s=3", lambda p: p.verifier.timeout_s == 3.0),
        ("verifier={timeout_s: 3}", lambda p: (p.verifier.timeout_s, p.verifier.precision) == (3.0, "ieee")),
        ("verifier.gpu_memory=1.5GiB", lambda p: p.verifier.gpu_memory == 3 << 29),
        ("verifier.gpus=[0, 2]", lambda p: p.verifier.gpus == (0, 2)),
        ("levels.2=0.7", lambda p: p.levels == {1: 0.9, 2: 0.7}),
        ("train.grpo.learning_rate=1e-5", lambda p: p.train.grpo["learning_rate"] == 1e-5),
        ("plugins.multi_input.num_tests=3", lambda p: p.plugins[0].options == {"num_tests": 3}),
        ("plugins=[timing]", lambda p: [c.name for c in p.plugins] == ["timing"]),
        ("plugins=[]", lambda p: p.plugins == ()),
        ("without=[funnel]", lambda p: [c.name for c in p.plugins] == ["multi_input", "curriculum"]),
        ("owners.check_correctness=multi_input", lambda p: p.owners == {"check_correctness": "multi_input"}),
        ("name=a=b", None),
    ],
)
def test_overrides_reach_every_key(override, read):
    if read is None:
        with pytest.raises(PresetError, match="name is 'a=b'"):
            load_preset("easy_combo", [override])
    else:
        assert read(load_preset("easy_combo", [override]))


def test_later_overrides_win():
    assert load_preset("baseline", ["seed=1", "seed=2"]).seed == 2


def test_a_dump_survives_json_and_yaml(tmp_path):
    preset = load_preset("all_extensions", ["plugins.multi_input.num_tests=3", "verifier.gpu_memory=2GB"])
    assert Preset.from_data(json.loads(json.dumps(preset.dump()))) == preset
    assert load_preset(write(tmp_path, "again.yaml", preset.to_yaml())) == preset


def test_with_plugins_appends_and_lays_options_over():
    preset = load_preset("easy_combo").with_plugins("timing", multi_input={"shapes": False}, fusion={"count": 3})
    assert list(preset.plugins) == [
        ("multi_input", {"num_tests": 5, "shapes": False}),
        ("curriculum", {}),
        ("funnel", {}),
        ("timing", {}),
        ("fusion", {"count": 3}),
    ]


def test_a_preset_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_preset("baseline").seed = 3


def test_where_names_the_file_and_line_that_said_a_key(tmp_path):
    path = write(tmp_path, "mine.yaml", "extends: easy_combo\n\nplugins:\n  - multi_input:\n      num_tests: 2\n")
    preset = load_preset(path, ["seed=4"])
    assert preset.where("plugins", "multi_input", "num_tests").endswith("mine.yaml:5")
    assert preset.where("plugins", "funnel").endswith("easy_combo.yaml:8")
    assert preset.where("seed") == "--set seed=4"
    assert preset.where("nothing") == ""
