"""Hostile jobs leave nothing behind, and the honest job after each is judged as ever."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def hostile(tier, jobs):
    done = subprocess.run([sys.executable, str(HERE / "hostile.py"), "--tier", tier, "--jobs", str(jobs)],
                          capture_output=True, text=True, check=False, timeout=550,
                          env={**os.environ, "PYTHONPATH": str(HERE)})  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def check(found, jobs):
    assert found["jobs"] == jobs
    assert found["honest"] == {"ok 499500": jobs}
    assert set(found["outcomes"]) <= {"ok", "died", "timeout", "memory", "output"}
    assert len(found["outcomes"]) >= 3
    assert found["after"] == found["before"]


@pytest.mark.parametrize("tier", ["A", "B"])
def test_a_sample_of_hostile_jobs_leaves_nothing_behind(tier):
    check(hostile(tier, 60), 60)


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["A", "B"])
def test_a_thousand_hostile_jobs_leave_nothing_behind(tier):
    check(hostile(tier, 1000), 1000)
