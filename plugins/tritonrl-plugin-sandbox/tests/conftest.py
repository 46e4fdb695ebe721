"""Sandboxed children are forked from a process with one thread, which the process that runs the tests need not be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def alone():
    """Run a script in a process of its own (lab.py says what it finds there) and give what it calls `answer` with."""

    def run(script, **variables):
        found = (str(HERE), variables.get("ELSEWHERE"), os.environ.get("PYTHONPATH"))
        places = os.pathsep.join(filter(None, found))
        done = subprocess.run(
            [sys.executable, "-c", f"from lab import *\n{script}"],
            capture_output=True, text=True, check=False, timeout=550,
            env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1", **variables},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout)

    return run
