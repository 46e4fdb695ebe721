"""An exported kernel runs with torch and triton alone, says where it comes from, and its test can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.report.export import best_score, export_kernel
from tritonrl_core.testing.samples import SAMPLE_KERNEL, sample_task
from tritonrl_core.types import Candidate, Score, Status

ABOUT = {"run": "a run", "model": "nano"}
ALONE = """
import runpy, sys
sys.modules["tritonrl_core"] = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def passed(kit: Any, code: str, speedup: float = 2.0) -> Score:
    made = next(s for s in (kit.score(Random(seed), 0, 1.0) for seed in range(99)) if s.verdict.status is Status.PASSED)
    task, candidate = sample_task(), replace(Candidate.from_code(code), plan="one\nprogram\r a block \u2028 x = 1")
    timing = replace(made.timing, speedup=speedup, speedup_low=speedup - 0.1, speedup_high=speedup + 0.1)
    return replace(made, task_id=task.id, task_key=task.key, candidate=candidate, timing=timing)


def run_alone(path: Path) -> subprocess.CompletedProcess[str]:
    """Run an exported test where the project cannot be imported."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    return subprocess.run([sys.executable, "-c", ALONE, str(path)], capture_output=True, text=True, env=environment)


def test_a_right_kernel_passes_its_test_without_the_project(kit: Any, tmp_path: Path) -> None:
    code = "from __future__ import annotations\n" + SAMPLE_KERNEL
    done = run_alone(export_kernel(passed(kit, code), sample_task(), tmp_path, ABOUT).test)
    assert done.returncode == 0, done.stderr
    assert "right on 5 fresh inputs" in done.stdout


def test_a_wrong_kernel_fails_it(kit: Any, tmp_path: Path) -> None:
    wrong = SAMPLE_KERNEL.replace("tl.maximum(x, 0.0)", "tl.maximum(x, 0.1)")
    done = run_alone(export_kernel(passed(kit, wrong), sample_task(), tmp_path, ABOUT).test)
    assert done.returncode != 0
    assert "not close" in done.stderr


def test_the_provenance_is_data_and_comment(kit: Any, tmp_path: Path) -> None:
    score = passed(kit, SAMPLE_KERNEL)
    text = export_kernel(score, sample_task(), tmp_path, ABOUT).kernel.read_text()
    assert "# Speedup 2.0x (1.9 to 2.1), measured." in text
    scope: dict[str, Any] = {}
    exec(text[text.index("PROVENANCE = ") :], scope)
    told = scope["PROVENANCE"]
    assert told["run"] == "a run"
    assert told["candidate_key"] == score.candidate.key
    assert told["verdict"]["status"] == "PASSED"
    assert json.loads(json.dumps(told)) == told


def test_an_unknown_figure_does_not_break_the_module(kit: Any, tmp_path: Path) -> None:
    score = passed(kit, "x = 1")
    odd = replace(score, verdict=replace(score.verdict, worst_error=float("nan")))
    odd = replace(odd, timing=replace(odd.timing, speedup_high=float("inf")))
    scope: dict[str, Any] = {}
    exec(export_kernel(odd, sample_task(), tmp_path, ABOUT).kernel.read_text(), scope)
    assert scope["PROVENANCE"]["verdict"]["worst_error"] == "nan"
    assert scope["PROVENANCE"]["speed"]["high"] == "inf"


def test_nothing_of_a_plan_gets_out_of_its_comment(kit: Any, tmp_path: Path) -> None:
    text = export_kernel(passed(kit, SAMPLE_KERNEL), sample_task(), tmp_path, ABOUT).kernel.read_text()
    head = text.split(SAMPLE_KERNEL.strip())[0]
    assert all(line.startswith("#") or not line for line in head.splitlines())
    assert "# Plan: one\n# Plan: program\n# Plan: a block\n# Plan: x = 1\n" in head


def test_a_file_that_is_there_is_not_written_over(kit: Any, tmp_path: Path) -> None:
    first = export_kernel(passed(kit, SAMPLE_KERNEL), sample_task(), tmp_path, ABOUT)
    assert export_kernel(passed(kit, SAMPLE_KERNEL), sample_task(), tmp_path, ABOUT) == first
    with pytest.raises(UsageError, match="is there already"):
        export_kernel(passed(kit, SAMPLE_KERNEL + "\n# other"), sample_task(), tmp_path, ABOUT)


def test_the_best_is_measured_before_estimated_and_surer_before_faster(kit: Any) -> None:
    sure, fast = passed(kit, "1", 2.0), passed(kit, "2", 3.0)
    unsure = replace(fast, timing=replace(fast.timing, speedup_low=1.0))
    guessed = replace(fast, timing=replace(fast.timing, clock="estimated", speedup=9.0, speedup_low=9.0))
    untimed = replace(fast, timing=None)
    wrong = replace(fast, verdict=replace(fast.verdict, status=Status.WRONG))
    assert best_score([guessed, unsure, sure, untimed, wrong], sure.task_id) is sure


def test_an_unsolved_or_unknown_task_is_named(kit: Any) -> None:
    score = passed(kit, "1")
    wrong = replace(score, verdict=replace(score.verdict, status=Status.WRONG), task_id="hard")
    with pytest.raises(UsageError, match="none of the 1 kernels for task 'hard' passed"):
        best_score([score, wrong], "hard")
    with pytest.raises(UsageError) as raised:
        best_score([score], "sample/relo")
    assert "sample/relu" in raised.value.remedy
