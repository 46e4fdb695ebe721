"""Documents that cannot go stale: their tables and commands are compared with the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer

from tritonrl_core import hookspecs
from tritonrl_core.hookspecs import RULES
from tritonrl_core.types import Status

ROOT = Path(__file__).parents[2]
DESIGN = (ROOT / "docs" / "design.md").read_text()
README = (ROOT / "README.md").read_text()
GENERATED = [ROOT / "docs" / "reference" / f"{page}.md" for page in ("hooks", "presets", "commands")]
"""Pages that the site's build writes; tests/docs/test_site.py looks at them."""


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = text.split(f"\n## {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert table, f"no table below {heading!r}"
    lines = table.group().strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_hooks_is_the_code() -> None:
    documented = {row[0].strip("`"): row[1] for row in rows(DESIGN, "Hooks")}
    code = {
        f"{name}({', '.join(inspect.signature(getattr(hookspecs, name)).parameters)})": rule.kind.value
        for name, rule in RULES.items()
    }
    assert documented == code


def test_every_status_is_documented_and_no_other() -> None:
    named = {name for row in rows(DESIGN, "Statuses") for name in re.findall(r"`([A-Z_]+)`", row[0])}
    assert named == {status.value for status in Status}


def test_every_room_that_is_documented_exists() -> None:
    core = ROOT / "src" / "tritonrl_core"
    for row in rows(DESIGN, "Rooms"):
        for name in re.findall(r"`([a-z_]+/?)`", row[1]):
            place = core / name.rstrip("/")
            assert place.is_dir() or place.with_suffix(".py").is_file(), name


def test_every_module_belongs_to_a_documented_room() -> None:
    core = ROOT / "src" / "tritonrl_core"
    documented = {name.rstrip("/") for row in rows(DESIGN, "Rooms") for name in re.findall(r"`([a-z_]+/?)`", row[1])}
    there = {path.stem for path in core.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - documented == {"__init__"}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_is_named_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / document).read_text()))
    assert named
    assert named <= targets


def test_every_command_in_the_readme_exists() -> None:
    from tritonrl_core.cli.app import app

    command = typer.main.get_command(app)
    for line in re.findall(r"^    tritonrl (.+)$", README, re.MULTILINE):
        words = [word for word in line.split("#")[0].split() if not word.startswith("-")]
        node = command
        while hasattr(node, "commands") and words:
            assert words[0] in node.commands, line
            node = node.commands[words.pop(0)]
        options = {name for parameter in node.params for name in parameter.opts}
        assert set(re.findall(r"(--[a-z-]+)", line.split("#")[0])) <= options | {"--help", "--version"}, line


def test_every_relative_link_leads_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        prose = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(), flags=re.DOTALL)
        for target in re.findall(r"(?<!\w)\[[^\]]*\]\((?!https?:|#|mailto:)([^)#]+)", prose):
            leads = (document.parent / target).resolve()
            assert leads.exists() or leads in GENERATED, f"{document.name}: {target}"
