"""Presets of other distributions, found through the entry-point group `tritonrl.presets`."""

import pytest

from tritonrl_core.errors import PresetError
from tritonrl_core.preset import available_presets, load_preset


def install(folder, distribution, package, presets):
    """Lay a distribution down as an installer would: a package with YAML files, and its metadata."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise RuntimeError('a package of presets is never run')")
    for name, text in presets.items():
        (folder / package / f"{name}.yaml").write_text(text)
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tritonrl.presets]\n{package} = {package}\n")


def test_a_third_partys_preset_is_named_like_a_shipped_one(tmp_path, monkeypatch):
    install(tmp_path, "acme-presets", "acme_presets", {"acme": "extends: easy_combo\nseed: 3\n"})
    monkeypatch.syspath_prepend(tmp_path)
    assert load_preset("acme").seed == 3
    assert available_presets()["acme"] == tmp_path / "acme_presets" / "acme.yaml"


def test_a_shipped_name_cannot_be_taken_over(tmp_path, monkeypatch):
    install(tmp_path, "acme-presets", "acme_presets", {"baseline": "seed: 3\n"})
    monkeypatch.syspath_prepend(tmp_path)
    assert load_preset("baseline").seed == 0


def test_two_distributions_with_one_name_are_both_named(tmp_path, monkeypatch):
    install(tmp_path, "acme-presets", "acme_presets", {"fast": "seed: 3\n"})
    install(tmp_path, "other-presets", "other_presets", {"fast": "seed: 4\n"})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PresetError, match="'fast' is shipped by acme-presets and other-presets") as caught:
        load_preset("fast")
    assert "fast.yaml" in caught.value.remedy
