"""`tritonrl plugins new` writes packages that install, are listed, and pass their own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonrl_core.cli.app import app
from tritonrl_core.errors import UsageError
from tritonrl_core.hookspecs import RULES
from tritonrl_core.scaffold import new_plugin
from tritonrl_core.scaffold.hooks import STARTERS

HOOKS = list(RULES)
TRITONRL = "from tritonrl_core.cli import main; main()"
INSTALL = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]


def run(*command: str, cwd: Path, installed: Path) -> str:
    """Run with a folder of installed packages in front of all others."""
    places = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, "PYTHONPATH": places, "COLUMNS": "200"},
        capture_output=True, text=True, check=False, timeout=550,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def installs_and_passes(folder: Path, installed: Path, marks: str = "") -> str:
    run(*INSTALL, "--target", str(installed), ".", cwd=folder, installed=installed)
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks]
    return run(*pytest_here, cwd=folder, installed=installed)


def test_every_hook_has_a_starter() -> None:
    assert list(STARTERS) == HOOKS


def test_a_package_with_every_hook_installs_is_listed_and_passes(tmp_path: Path) -> None:
    folder, installed = tmp_path / "package", tmp_path / "installed"
    new_plugin("all_of_it", HOOKS, folder)
    told = installs_and_passes(folder, installed, "not slow")
    assert " passed" in told
    assert "failed" not in told
    listed = run(sys.executable, "-c", TRITONRL, "plugins", "list", cwd=tmp_path, installed=installed)
    assert "tritonrl-plugin-all-of-it" in listed


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS)
def test_a_package_with_one_hook_installs_and_passes(hook: str, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    new_plugin(f"just_{hook}", [hook], folder)
    assert " passed" in installs_and_passes(folder, tmp_path / "installed")


@pytest.mark.parametrize("hook", [*HOOKS, "all"])
def test_what_is_written_is_typed_and_tidy(hook: str, tmp_path: Path) -> None:
    """No hook leaves an import too many, a line too long or a placeholder unfilled."""
    files = new_plugin("one_more", HOOKS if hook == "all" else [hook], tmp_path)
    rules = ["check", "--no-cache", "--isolated", "--line-length=120", "--select=E,F,I,UP,B,RUF"]
    for arguments in (rules, ["format", "--no-cache", "--isolated", "--line-length=120", "--check"]):
        run(sys.executable, "-m", "ruff", *arguments, str(tmp_path), cwd=tmp_path, installed=tmp_path)
    for path in files:
        text = path.read_text()
        assert "$" not in text.replace("${{ matrix.python }}", ""), path
    named = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert named["project"]["entry-points"]["tritonrl.plugins"] == {
        "one_more": "tritonrl_plugin_one_more:OneMorePlugin"
    }


@pytest.mark.parametrize(
    ("name", "hooks", "words"),
    [
        ("Memory-Use", ["pre_filter"], ["no name for a plugin", "memory_use"]),
        ("fusion", ["pre_filter"], ["already"]),
        ("base", ["pre_filter"], ["already"]),
        ("x" * 300, ["pre_filter"], ["no name for a plugin", "50 letters"]),
        ("class", ["pre_filter"], ["word of Python's"]),
        ("mine", ["pre_filter,sample_level"], ["--hook once for each"]),
        ("mine", [], ["--hook", "check_correctness"]),
        ("mine", ["prefilter"], ["prefilter", "Did you mean 'pre_filter'"]),
    ],
)
def test_bad_input_is_one_message_and_writes_nothing(
    name: str, hooks: list[str], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refusal:
        new_plugin(name, hooks, tmp_path / "there", taken=["fusion"])
    assert all(word in str(refusal.value) for word in words)
    assert not (tmp_path / "there").exists()


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        new_plugin("mine", ["pre_filter"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    command = ["plugins", "new", "memory_use", "--hook", "pre_filter", "--out", str(tmp_path / "p")]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert "pip install -e" in told.output
    assert (tmp_path / "p" / "src" / "tritonrl_plugin_memory_use" / "plugin.py").is_file()
