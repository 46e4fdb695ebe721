"""The site documents every hook, option, preset and command; what is generated comes from the code it describes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tritonrl_core.hookspecs import RULES
from tritonrl_core.preset.schema import Preset
from tritonrl_core.session.discovery import SHIPPED, distribution_name, installed_plugins, load_plugin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PRESETS = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def test_every_hook_has_its_contract_and_is_in_the_guide(pages) -> None:
    reference, guide = pages.hooks_page(), (DOCS / "write-a-plugin.md").read_text()
    for hook, rule in RULES.items():
        section = reference.split(f"\n## {hook}\n", 1)[1].split("\n## ", 1)[0]
        assert f"def {hook}(" in section
        assert f"Kind: *{rule.kind.value}*" in section
        assert re.search(rf"^\|.*\| `{hook}` \| {rule.kind.value} \|$", guide, re.MULTILINE), hook


def test_every_key_of_a_preset_has_a_row_and_a_word_where_its_default_stands(pages) -> None:
    keys = [key for key, _, _ in pages.preset_keys(Preset)]
    assert first_column(pages.presets_page()) == keys
    assert len(keys) > 30
    baseline = (ROOT / "presets" / "baseline.yaml").read_text()
    stated = _keys(yaml.safe_load(baseline))
    missing = [key for key in keys if not any(other == key or other.startswith(f"{key}.") for other in stated)]
    assert not missing, f"presets/baseline.yaml, 'every key with its default', leaves out {missing}"


def _keys(data: dict, prefix: str = "") -> set[str]:
    found = set()
    for key, value in data.items():
        found.add(f"{prefix}{key}")
        if isinstance(value, dict):
            found |= _keys(value, f"{prefix}{key}.")
    return found


def test_every_preset_says_what_it_is_for(pages) -> None:
    page = pages.presets_page()
    for name in PRESETS:
        assert f"### {name}\n" in page
        assert (ROOT / "presets" / f"{name}.yaml").read_text().startswith("# "), name


def test_every_command_and_every_option_of_it_says_what_it_does(pages) -> None:
    page = pages.commands_page()
    import typer.main

    from tritonrl_core.cli.app import app

    for path, command in pages.walk(typer.main.get_command(app), ("tritonrl",)):
        assert f"## {' '.join(path)}\n" in page
        assert command.help, path
        silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", "")]
        assert not silent, f"{' '.join(path)}: {silent}"


@pytest.mark.parametrize("plugin", SHIPPED)
def test_every_option_of_a_plugin_is_in_its_readme_with_its_default(plugin: str) -> None:
    options = load_plugin(installed_plugins()[plugin]).Options
    readme = (ROOT / "plugins" / distribution_name(plugin) / "README.md").read_text()
    table = readme.split("| option | default | meaning |", 1)[1].split("\n\n", 1)[0]
    rows = {name: cells for name, *cells in _rows(table)}
    assert set(rows) == set(options.model_fields), plugin
    for name, value in options().model_dump(mode="json").items():
        said = rows[name][0]
        assert _same(said, value), f"{plugin}.{name}: README says {said}, the code {value}"
        assert rows[name][1], name


def _rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|", 2)] for line in lines]


def _same(said: str, value: object) -> bool:
    """Whether the README's default is the code's, read as YAML; `none` and `null` are None."""
    read = yaml.safe_load(said)
    return (None if read == "none" else json.loads(json.dumps(read))) == value


def test_every_page_of_the_site_exists_or_is_generated(pages) -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = set(re.findall(r": ([a-z0-9/_-]+\.md)$", text, re.MULTILINE))
    generated = {f"reference/{name}.md" for name in pages.PAGES}
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "examples" not in path.parts}
    assert named == there | generated


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """mkdocs is strict here: a dead link, a missing page and an object that is not there are errors."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "DISABLE_MKDOCS_2_WARNING": "true", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    python = (tmp_path / "reference" / "python" / "index.html").read_text()
    assert all(f"tritonrl_core.{name}" in python for name in ("Verifier", "load_preset", "types.Verdict"))


def test_every_extension_has_a_page_that_says_what_it_costs() -> None:
    index = (DOCS / "plugins" / "index.md").read_text()
    for name in SHIPPED:
        linked = re.search(rf"^\| \[{name}\]\(([^)]+)\)", index, re.MULTILINE)
        assert linked, name
        page = (DOCS / "plugins" / linked[1]).resolve().read_text()
        assert len(page.split("\n## What it costs\n", 1)[1].split("\n## ", 1)[0].strip()) > 80, name
