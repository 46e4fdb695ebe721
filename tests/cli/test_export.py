"""`tritonrl export` judges a kernel again before it goes; where that cannot be done it says why, once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import Run
from tritonrl_core.session import Session
from tritonrl_core.tasks.loaders import load_reference
from tritonrl_core.testing.samples import SAMPLE_KERNEL, SAMPLE_REFERENCE, sample_score
from tritonrl_core.types import Candidate

FAULTY = """
from tritonrl_core.plugin import Plugin, hookimpl


class Faulty(Plugin):
    name = "faulty"

    @hookimpl
    def pre_filter(self, candidate):
        raise ZeroDivisionError("it divides by nothing")
"""


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preset:
    """One task of a file, judged with a plugin that raises."""
    info = tmp_path / "faulty-1.0.dist-info"
    info.mkdir()
    (tmp_path / "faulty.py").write_text(FAULTY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tritonrl.plugins]\nfaulty = faulty:Faulty\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "relu.py").write_text(SAMPLE_REFERENCE)
    own = ["tasks.suite=none", f"tasks.paths=[{tmp_path / 'relu.py'}]"]
    return load_preset("baseline", own).with_plugins("faulty")


@pytest.fixture
def solved(tmp_path: Path, preset: Preset) -> Path:
    """A run's folder in which that task was solved."""
    task = load_reference(tmp_path / "relu.py")
    run = Run.create(tmp_path / "run", preset.dump(), Session.open(preset).lock())
    score = sample_score()
    run.append_score(
        replace(score, task_id=task.id, task_key=task.key, candidate=Candidate.from_code(SAMPLE_KERNEL), step=1)
    )
    run.close()
    return tmp_path / "run"


def export(run: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tritonrl_core.cli", "export", str(run), "--task", "relu", *more]
    return subprocess.run(command, cwd=run.parent, capture_output=True, text=True, timeout=120, check=False)


def test_a_fault_of_ours_is_said_once_and_exits_three(solved: Path) -> None:
    done = export(solved)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("it divides by nothing") == 1
    assert done.stderr.count("INFRA") == 1
    assert "--no-verify" in done.stderr
    assert not (solved.parent / "exported").exists()


def test_what_is_not_judged_again_needs_no_judge(solved: Path) -> None:
    done = export(solved, "--no-verify")
    assert done.returncode == 0, done.stderr
    assert "'verified_again': False" in (solved.parent / "exported" / "relu.py").read_text()
