"""The shipped presets are found alike from an editable install, an sdist and a wheel."""

import importlib.metadata
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tritonrl_core.preset import available_presets
from tritonrl_core.preset.sources import shipped_folder

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
ASK = """
import json, tritonrl_core
from tritonrl_core import load_preset
from tritonrl_core.preset import available_presets
print(json.dumps({
    "where": tritonrl_core.__file__,
    "presets": {name: load_preset(name).to_yaml() for name in available_presets()},
}))
"""


def ask(path: Path, cwd: Path) -> dict:
    """What a Python with this folder first on its path finds."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def build(folder: Path, out: Path, *what: str) -> list[Path]:
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(out), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(out.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """The core's sdist, and the wheel that is built from that sdist."""
    files = build(ROOT, tmp_path_factory.mktemp("dist"))
    return {"sdist": next(f for f in files if f.suffix == ".gz"), "wheel": next(f for f in files if f.suffix == ".whl")}


def test_found_from_the_source_tree():
    assert shipped_folder() == ROOT / "presets"
    assert set(NAMES) <= set(available_presets())


def test_an_editable_install_has_no_second_copy():
    files = importlib.metadata.files("tritonrl-core") or []
    assert not [file for file in files if file.suffix == ".yaml"]


@pytest.mark.slow
def test_found_from_a_wheel(built, tmp_path):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        wheel.extractall(tmp_path / "site")
    found = ask(tmp_path / "site", tmp_path)
    assert Path(found["where"]).is_relative_to(tmp_path)
    assert sorted(found["presets"]) == NAMES
    assert found["presets"] == ask(ROOT / "src", tmp_path)["presets"]


@pytest.mark.slow
def test_found_from_an_sdist(built, tmp_path):
    with tarfile.open(built["sdist"]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()
    found = ask(folder / "src", tmp_path)
    assert Path(found["where"]).is_relative_to(tmp_path)
    assert sorted(found["presets"]) == NAMES


@pytest.mark.slow
def test_the_wheel_has_types_licence_and_nothing_that_does_not_belong(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = wheel.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        text = wheel.read(metadata).decode()
    assert "tritonrl_core/py.typed" in names
    assert {f"tritonrl_core/train/configurations/{name}.yaml" for name in ("ddp", "fsdp2")} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names} == {"tritonrl_core", metadata.split("/")[0]}
    assert "Provides-Extra: all" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", sorted(p.parent for p in ROOT.glob("plugins/*/pyproject.toml")), ids=lambda f: f.name
)
def test_every_plugin_builds_and_carries_its_entry_point(folder, tmp_path):
    files = build(folder, tmp_path)
    assert {file.suffix for file in files} == {".gz", ".whl"}
    with zipfile.ZipFile(next(file for file in files if file.suffix == ".whl")) as wheel:
        names = wheel.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "[tritonrl." in wheel.read(entry_points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".pyc", ".gitkeep")) or "tests/" in name]


@pytest.mark.slow
def test_installed_wheels_work_outside_the_repository(built, tmp_path):
    """Core and one plugin installed from wheels into an empty folder: the plugin is found and its preset opens."""
    plugin = build(ROOT / "plugins" / "tritonrl-plugin-fusion", tmp_path / "dist", "--wheel")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*command, str(built["wheel"]), *map(str, plugin)], check=True, capture_output=True)
    code = (
        "import tritonrl_core, tritonrl_plugin_fusion as f; from tritonrl_core import load_preset;"
        "from tritonrl_core.session import Session; s = Session.open(load_preset('fusion_data_only'));"
        "print(tritonrl_core.__file__); print(f.__file__); print(s.lock()['plugins'][1]['distribution'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    core, fusion, distribution = done.stdout.split()
    assert Path(core).is_relative_to(site)
    assert Path(fusion).is_relative_to(site)
    assert distribution == "tritonrl-plugin-fusion"
