"""What the tutorial and the plugin guide say to do is done, in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r'(<!-- not run -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)```', re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """Files to write (blocks with a title) and commands to run (bash without one), in the page's order."""
    found = BLOCK.findall((DOCS / page).read_text())
    return [Block(language, title, text) for skipped, language, title, text in found if not skipped]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a new virtual environment that sees what is installed here; what is installed there stays there."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=True)
    here = sysconfig.get_path("purelib")
    there = next((place / "lib").glob("python3*")) / "site-packages"
    (there / "what_is_installed_already.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    command = place / "bin" / "tritonrl"
    command.write_text(f"#!{place}/bin/python\nfrom tritonrl_core.cli import main\nmain()\n")
    command.chmod(0o755)
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return {**variables, "PATH": f"{place}/bin:{variables['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", ["write-a-plugin.md", "tutorial.md"])
def test_a_page_works_as_written(page: str, tmp_path: Path, environment: dict[str, str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    ran = 0
    for block in blocks(page):
        if block.title:
            path = work / block.title
            assert path.parent.is_dir(), f"{page} writes {block.title} before its folder is there"
            path.write_text(block.text)
        elif block.language == "bash":
            script = f"set -eo pipefail\n{block.text}"
            done = subprocess.run(
                ["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            ran += 1
    assert ran >= 3, f"{page}: {sys.executable} ran {ran} blocks only"


def test_no_page_has_a_block_that_is_neither_shown_nor_run() -> None:
    """A bash block with a title would be written and not run; a fence of another length would not be found."""
    for page in ("tutorial.md", "write-a-plugin.md"):
        assert all(not (block.language == "bash" and block.title) for block in blocks(page))
        text = (DOCS / page).read_text()
        assert text.count("```") == 2 * len(BLOCK.findall(text))
