"""The example plugins of the documentation install, are short, and pass their own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "docs" / "examples").iterdir() if path.is_dir())
INSTALL = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]


def test_there_are_two() -> None:
    assert [path.name for path in EXAMPLES] == ["memory_reward", "signal_tasks"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_is_short(example: Path) -> None:
    assert len((example / f"{example.name}.py").read_text().splitlines()) < 60


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_installs_and_passes_its_tests(example: Path, tmp_path: Path) -> None:
    subprocess.run([*INSTALL, str(tmp_path), str(example)], check=True)
    places = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    tests = tmp_path / "test_it.py"
    tests.write_text((example / f"test_{example.name}.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
