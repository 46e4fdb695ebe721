"""The escape suite: what works with the layers off works in no tier that promises to stop it.

The whole matrix, for every tier and user, comes from `benchmarks/escape_matrix.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = ("spin", "ignore_the_cpu", "exhaust_the_c_stack", "source_bomb", "compile_fills", "inodes", "deep_folder")
QUICK = "^(?!.*(" + "|".join(SLOW) + "))"


def column(tier, user="same", only=""):
    done = subprocess.run([sys.executable, str(HERE / "column.py"), "--tier", tier, "--user", user, "--only", only],
                          capture_output=True, text=True, check=False, timeout=550)  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    if "unavailable" in found:
        pytest.skip(found["unavailable"])
    return found["results"]


def broken_promises(results, tier):
    return {name: case["escaped"] for name, case in results.items() if case["escaped"] and tier[0] in case["promised"]}


def test_the_suite_is_large_and_covers_every_class():
    listed = json.loads(subprocess.run([sys.executable, str(HERE / "column.py"), "--tier", "none", "--list"],
                                       capture_output=True, text=True, check=True).stdout)  # fmt: skip
    assert len(listed) >= 120
    assert len({name.partition("/")[0] for name in listed}) == 13


@pytest.mark.slow
def test_attacks_work_with_the_layers_off():
    """Else the rest proves nothing. A class each; the matrix in the documents says which cases do not work here."""
    results = column("none", only="read_secret$|secret_in_environ$|process_vm_readv|leaked_desc|signal_bystander$|"
                     "^processes/fork$|leave_a_detached|tcp_connect$|unix_connect$|unshare_user|leave_semaphores|"
                     "use_mapped|sleep_past|write_outside|claim_that|flood_standard")  # fmt: skip
    assert {name: bool(case["escaped"]) for name, case in results.items()} == dict.fromkeys(results, True)
    assert len(results) >= 15


@pytest.mark.parametrize("tier", ["A", "B"])
def test_nothing_escapes(tier):
    results = column(tier, only=QUICK)
    assert len(results) > 240
    assert broken_promises(results, tier) == {}
    assert all(case["sandbox"].startswith(tier) or case["outcome"] == "refused" for case in results.values())


@pytest.mark.slow
@pytest.mark.parametrize("user", ["same", "ordinary"])
@pytest.mark.parametrize("tier", ["A", "A1", "B", "C5", "C1"])
def test_nothing_escapes_whoever_runs_it_on_whatever_host(tier, user):
    results = column(tier, user)
    assert broken_promises(results, tier) == {}
