"""What the distributions say of themselves: names, versions that move together, and who needs whom."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tritonrl_core
from tritonrl_core.session.discovery import SHIPPED, distribution_name

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())


def version(folder):
    path = folder / project(folder)["tool"]["hatch"]["version"]["path"]
    [line] = [line for line in path.read_text().splitlines() if line.startswith("__version__")]
    return line.split('"')[1]


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_versions_move_together(folder):
    assert version(folder) == tritonrl_core.__version__


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_ranges_between_siblings_hold_for_this_version(folder):
    for text in project(folder)["project"].get("dependencies", []):
        requirement = Requirement(text)
        if requirement.name.startswith("tritonrl-"):
            assert requirement.specifier.contains(tritonrl_core.__version__)


def test_the_core_needs_nano_and_names_all_six_as_all():
    core = project(ROOT)["project"]
    needed = {Requirement(text).name: Requirement(text) for text in core["dependencies"]}
    assert needed["tritonrl-nano"].specifier.contains(tritonrl_core.__version__)
    extras = {Requirement(text).name for text in core["optional-dependencies"]["all"]}
    assert extras == {distribution_name(name) for name in SHIPPED}


@pytest.mark.parametrize("name", SHIPPED)
def test_each_extension_is_named_by_the_rule(name):
    folder = ROOT / "plugins" / distribution_name(name)
    data = project(folder)
    assert data["project"]["name"] == folder.name
    [(entry, target)] = data["project"]["entry-points"]["tritonrl.plugins"].items()
    assert entry == name
    assert target.startswith(f"tritonrl_plugin_{name}:")
    assert (folder / "src" / f"tritonrl_plugin_{name}" / "py.typed").is_file()


@pytest.mark.parametrize("folder", [ROOT, *PLUGINS], ids=lambda folder: folder.name)
def test_each_distribution_carries_its_licence_and_readme(folder):
    data = project(folder)["project"]
    assert data["license"] == "Apache-2.0"
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (folder / data["readme"]).read_text().strip()
