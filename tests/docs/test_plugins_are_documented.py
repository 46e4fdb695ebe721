"""Every plugin's README has its options with their defaults' names, and the list of extensions has its hooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tritonrl_core.session.discovery import installed_plugins, load_plugin
from tritonrl_core.session.implementations import implementations

ROOT = Path(__file__).parents[2]
OURS = sorted(
    name for name, item in installed_plugins().items() if (ROOT / "plugins" / item.distribution / "README.md").is_file()
)
INDEX = (ROOT / "docs" / "plugins" / "index.md").read_text()


@pytest.mark.parametrize("name", OURS)
def test_every_option_is_in_the_readme(name: str) -> None:
    item = installed_plugins()[name]
    readme = (ROOT / "plugins" / item.distribution / "README.md").read_text()
    for option in load_plugin(item).Options.model_fields:
        assert re.search(rf"`{option}\b", readme), f"{item.distribution}'s README says nothing of {option!r}"


@pytest.mark.parametrize("name", OURS)
def test_every_hook_but_the_small_ones_is_in_the_list_of_extensions(name: str) -> None:
    """Wrappers, listeners and metrics stand in the plugin's own page."""
    small = {"observe_group", "collect_metrics"}
    hooks = {found.hook for found in implementations(load_plugin(installed_plugins()[name])) if not found.wrapper}
    line = next(line for line in INDEX.splitlines() if f"[{name}](" in line)
    for hook in hooks - small:
        assert f"`{hook}`" in line, f"docs/plugins/index.md: {name} answers {hook}()"


def test_the_plugins_of_this_repository_are_looked_at() -> None:
    folders = {path.parent.name for path in ROOT.glob("plugins/tritonrl-plugin-*/pyproject.toml")}
    assert {installed_plugins()[name].distribution for name in OURS} == folders
