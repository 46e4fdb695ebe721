"""What a model's name means: a bundled model, a folder, or a name on the hub."""

from pathlib import Path

import pytest

from tritonrl_core.errors import ModelError
from tritonrl_core.models import resolve_model


def install(folder, distribution, package, *, config=True):
    (folder / package / "model").mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise RuntimeError('a model is data; its package is never run')")
    if config:
        (folder / package / "model" / "config.json").write_text("{}")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tritonrl.models]\n{package} = {package}\n")


def test_a_bundled_model_is_its_packages_folder(tmp_path, monkeypatch):
    install(tmp_path, "acme-model", "acme")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_model("acme") == tmp_path / "acme" / "model"


def test_a_bundled_model_without_files_says_whose_fault_it_is(tmp_path, monkeypatch):
    install(tmp_path, "acme-model", "acme", config=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"acme-model, which ships it, has no config\.json"):
        resolve_model("acme")


def test_a_folder_is_itself(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path)) == tmp_path


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"has no config\.json") as caught:
        resolve_model(str(tmp_path))
    assert "save_pretrained" in caught.value.remedy


@pytest.mark.parametrize(
    "name", ["./nowhere", "../nowhere", "/nowhere/at/all", "runs/x/checkpoints", "~/no-such-model"]
)
def test_a_path_that_is_not_there_is_refused(name):
    with pytest.raises(ModelError, match="does not exist") as caught:
        resolve_model(name)
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_the_projects_own_model_is_not_asked_for_at_the_hub(monkeypatch):
    monkeypatch.setattr("tritonrl_core.models.entry_points", lambda **_: [])
    with pytest.raises(ModelError, match="not installed") as caught:
        resolve_model("nano")
    assert caught.value.remedy == "pip install tritonrl-nano"


def test_a_file_is_no_model():
    with pytest.raises(ModelError, match="is a file"):
        resolve_model(str(Path(__file__)))


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "gpt2"])
def test_other_names_are_the_hubs(name):
    assert resolve_model(name) == name


def test_a_name_that_is_nearly_bundled_gets_a_hint():
    with pytest.raises(ModelError, match="no model 'nanoo'") as caught:
        resolve_model("nanoo")
    assert "Did you mean 'nano'?" in caught.value.remedy
