"""A plugin built against an older hook API still loads and passes the tests it came with, or says why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RECORDED = sorted(path for path in (Path(__file__).parent / "recorded").iterdir() if path.is_dir())
EXPLAIN = "from tritonrl_core.cli import main; main()"
IN_A_LATER_CORE = """
import tritonrl_core.hookspecs as hookspecs
hookspecs.HOOK_API = "2.0"
from tritonrl_core.plugin import Plugin
Plugin.hook_api = ">=2.0,<3"  # what the base, and whoever names no range, says there
from tritonrl_core.cli import main
main()
"""


def run(folder: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": places, "COLUMNS": "200"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(params=RECORDED, ids=lambda path: path.name)
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recorded plugin; beside it a preset that has it on."""
    (tmp_path / "old.yaml").write_text("schema: 1\nname: old\nextends: baseline\nplugins: [recorded]\n")
    folder: Path = request.param
    return folder


def test_the_first_hook_api_is_on_record() -> None:
    assert "hook_api_1_0" in [path.name for path in RECORDED]


def test_it_loads_and_answers_its_hooks(recorded: Path, tmp_path: Path) -> None:
    listed = run(recorded, "-c", EXPLAIN, "plugins", "list", cwd=tmp_path)
    assert "tritonrl-plugin-recorded" in listed.stdout
    explained = run(recorded, "-c", EXPLAIN, "plugins", "explain", "--preset", "old.yaml", cwd=tmp_path)
    assert explained.returncode == 0, explained.stderr
    asked = [line for line in explained.stdout.splitlines() if "recorded" in line]
    for hook in ("generate_tasks", "pre_filter", "check_correctness", "assign_credit", "open_bench"):
        assert any(hook in line for line in asked), hook


def test_it_passes_the_tests_that_it_came_with(recorded: Path, tmp_path: Path) -> None:
    tests = tmp_path / "test_of_its_own.py"
    tests.write_text((recorded / "recorded_tests.py").read_text())
    done = run(recorded, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", str(tests), cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


def test_a_core_with_another_hook_api_says_why_it_does_not_load_it(recorded: Path, tmp_path: Path) -> None:
    done = run(recorded, "-c", IN_A_LATER_CORE, "presets", "check", "old.yaml", cwd=tmp_path)
    explained = run(recorded, "-c", IN_A_LATER_CORE, "plugins", "explain", "--preset", "old.yaml", cwd=tmp_path)
    for told in (done, explained):
        said = told.stdout + told.stderr
        assert told.returncode == 2
        assert "tritonrl-plugin-recorded 0.1.0" in said
        assert "is made for hook API >=1.0,<2; this core has 2.0" in said
        assert "pip install --upgrade tritonrl-core tritonrl-plugin-recorded" in said
        assert "Traceback" not in said
