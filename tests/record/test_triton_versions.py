"""The recorder's own tests with other releases of Triton: `TRITONRL_TRITONS` holds folders with one installed in each.

    pip install --no-deps --target /some/folder triton==3.6.0
    TRITONRL_TRITONS=/some/folder:/another pytest tests/record/test_triton_versions.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SITES = [site for site in os.environ.get("TRITONRL_TRITONS", "").split(os.pathsep) if site]
SUITES = (
    "test_recorder.py", "test_front_half.py", "test_ttir.py", "test_compiler.py", "test_prepare.py",
    "../machine/test_machine.py",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not SITES, reason="TRITONRL_TRITONS names no folder with another Triton")
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.timeout(900)
def test_a_suite_passes_with_another_triton(site, suite):
    path = Path(__file__).parent / suite
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        env={**os.environ, "PYTHONPATH": site}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-2000:]
