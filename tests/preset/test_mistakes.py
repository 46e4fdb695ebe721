"""Each mistake in a preset gets one message that names the place, the fault and the remedy."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tritonrl_core.errors import PresetError
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.preset.sources import read_yaml

MISTAKES = {
    "unknown key": ("seed: 1\nsed: 2\n", ":2: sed is not a known key", "Did you mean 'seed'?"),
    "unknown inner key": ("verifier:\n  tmeout_s: 2\n", ":2: verifier.tmeout_s is not a known key", "'timeout_s'"),
    "wrong choice": ("\nverifier: {device: gpu}\n", ":2: verifier.device is 'gpu': must be 'auto', 'cpu' or", ""),
    "wrong type": ("seed: soon\n", ":1: seed is 'soon': must be a valid integer", "presets show baseline"),
    "true is no number": ("seed: true\n", ":1: seed is True: must be a number", ""),
    "out of range": ("levels: {1: -2}\n", ":1: levels.1 is -2: must be greater than or equal to 0", ""),
    "no level": ("levels: {1: 0}\n", ":1: levels must map levels", "presets show baseline"),
    "not a number": ("reward: {alpha: .nan}\n", ":1: reward.alpha is nan: must be a finite number", ""),
    "section is a scalar": ("train: nano\n", ":1: train is 'nano': must be a mapping", ""),
    "bad size": ("verifier: {gpu_memory: lots}\n", ":1: verifier.gpu_memory is 'lots': must be auto or a size", ""),
    "newer schema": ("schema: 2\n", ":1: schema is 2: this tritonrl-core reads schema 1", ""),
    "said twice": ("seed: 1\nname: a\nseed: 2\n", ":3: 'seed' was said on line 1 already", "Keep one."),
    "broken yaml": ("seed: [1\nname: x\n", ":2: ", "Mend the YAML there."),
    "tab": ("verifier:\n\ttimeout_s: 3\n", ":2: found character", "Mend the YAML there."),
    "python object": ("seed: !!python/object/apply:os.getcwd []\n", ":1: could not determine a constructor", "Mend"),
    "alias": ("tasks: &a {paths: []}\neval: *a\n", ":2: anchors and aliases are not read", "Mend"),
    "not a mapping": ("- seed\n", ":1: a preset maps keys to values", "presets show baseline"),
    "control character": ("name: a\x00b\n", ":1: YAML does not allow the character", "Take it out."),
    "plugins is a mapping": ("plugins: {funnel: {}}\n", ":1: plugins is a list", "Example: plugins:"),
    "plugin with two names": (
        "plugins:\n  - funnel:\n    ast: true\n", ":1: an entry of plugins has several names (funnel, ast)", "Example"),
    "plugin that is a number": ("plugins: [3]\n", ":1: an entry of plugins is `name`", "Example: plugins:"),
    "plugin listed twice": ("plugins: [funnel, funnel]\n", ":1: plugins lists 'funnel' twice: keep one", "Example"),
    "without what is not there": (
        "extends: easy_combo\nwithout: [funel]\n", ":2: without names 'funel'", "Did you mean 'funnel'?"),
    "without is a word": ("extends: easy_combo\nwithout: funnel\n", ":2: without is a list", "without: [funnel]"),
    "extends nothing known": ("extends: basline\n", ":1: there is no preset 'basline'", "Did you mean 'baseline'?"),
    "extends a missing file": ("extends: ./other.yaml\n", "other.yaml does not exist", "tritonrl presets list"),
    "extends a list": ("extends: [a, b]\n", ":1: extends is a name or path", "extends: baseline"),
    "extends itself": ("extends: ./mine.yaml\n", ":1: presets go in a circle: mine.yaml extends mine", "`extends`"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_its_message(tmp_path, mistake):
    text, message, remedy = MISTAKES[mistake]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(PresetError) as caught:
        load_preset(path)
    assert message in caught.value.message
    assert "mine.yaml" in caught.value.message
    assert remedy in caught.value.remedy
    assert caught.value.remedy
    assert caught.value.exit_code == 2


OVERRIDES = {
    "verifier.tmeout_s=3": ("--set verifier.tmeout_s=3: verifier.tmeout_s is not a known key", "'timeout_s'"),
    "foo.bar=1": ("--set foo.bar=1: foo is not a known key", "Known: eval"),
    "seed": ("--set seed: an override is KEY=VALUE", "Example"),
    "seed.=3": ("--set seed.=3: an override is KEY=VALUE", "Example"),
    "seed.x=3": ("'seed' holds 0, which has no keys", "Set seed itself."),
    "plugins.multi.x=1": ("the preset does not enable the plugin 'multi'", "Did you mean 'multi_input'?"),
    "extends=baseline": ("extends cannot be set here", "Write a preset that extends this one."),
    "seed=[1": ("--set seed=[1:1: ", "Mend the YAML there."),
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_each_bad_override_has_its_message(override):
    message, remedy = OVERRIDES[override]
    with pytest.raises(PresetError) as caught:
        load_preset("easy_combo", [override])
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_several_mistakes_are_shown_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("sed: 1\nverifier:\n  device: gpu\n")
    with pytest.raises(PresetError) as caught:
        load_preset(path)
    assert {line.rsplit("mine.yaml", 1)[1] for line in caught.value.message.splitlines()} == {
        ":1: sed is not a known key",
        ":3: verifier.device is 'gpu': must be 'auto', 'cpu' or 'cuda'",
    }


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(PresetError, match="there is no preset 'all_extension'") as caught:
        load_preset("all_extension")
    assert "Did you mean 'all_extensions'?" in caught.value.remedy


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: None, "does not exist"),
    (lambda path: path.mkdir(), "is a folder"),
    (lambda path: path.write_bytes(b"seed: \xff"), "is not UTF-8 text"),
    (lambda path: path.write_text("#" * (1 << 20) + "\n"), "is larger than"),
    (lambda path: path.write_text("seed: " + "[" * 3000), "is nested too deeply"),
])  # fmt: skip
def test_a_file_that_is_no_preset_says_so(tmp_path, make, message):
    path = tmp_path / "mine.yaml"
    make(path)
    with pytest.raises(PresetError, match=message) as caught:
        load_preset(path)
    assert "mine.yaml" in caught.value.message
    assert caught.value.remedy


def test_a_longer_circle_is_named(tmp_path):
    for here, there in ("ab", "bc", "ca"):
        (tmp_path / f"{here}.yaml").write_text(f"extends: {there}.yaml\n")
    with pytest.raises(PresetError, match=r"a\.yaml extends b.yaml extends c.yaml extends a.yaml"):
        load_preset(tmp_path / "a.yaml")


def test_bad_data_from_python_is_a_preset_error_too():
    with pytest.raises(PresetError, match="preset: sed is not a known key"):
        Preset.from_data({"sed": 1})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from(list("abe:[]{}-&*!|>'\"#%@, \n\t\r\x85 0.1\\?~<=")), max_size=60))
def test_no_text_gets_anything_but_a_preset_error(tmp_path: Path, text):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode())
    try:
        preset = load_preset(path)
    except PresetError as error:
        assert "mine" in error.message  # noqa: PT017  (most texts are no error)
    else:
        assert load_preset(path) == preset


def test_yaml_words_are_read_as_usual():
    data, _ = read_yaml("a: true\nb: null\nc: 010\nd: 2001-01-01\ne: -1.5\nf: .inf\n", "text")
    assert data == {"a": True, "b": None, "c": 8, "d": "2001-01-01", "e": -1.5, "f": float("inf")}
