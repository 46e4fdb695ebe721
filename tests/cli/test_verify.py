"""`tritonrl verify` as a person uses it: files in, a table or JSON out, an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REFERENCE = """import torch
import torch.nn as nn

ROWS = 7
COLS = 130


class Model(nn.Module):
    def forward(self, x, y):
        return torch.relu(x + y)


def get_inputs():
    return [torch.randn(ROWS, COLS), torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
"""

RIGHT = """import torch
import triton
import triton.language as tl


@triton.jit
def add_relu(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    value = tl.load(x_ptr + i, mask=mask) + tl.load(y_ptr + i, mask=mask)
    tl.store(out_ptr + i, tl.maximum(value, 0.0), mask=mask)


class ModelNew(torch.nn.Module):
    def forward(self, x, y):
        x, y = x.contiguous(), y.contiguous()
        out = torch.empty_like(x)
        n = out.numel()
        add_relu[(triton.cdiv(n, 256),)](x, y, out, n, BLOCK=256)
        return out
"""

TORCH_ONLY = """import torch


class ModelNew(torch.nn.Module):
    def forward(self, x, y):
        return torch.relu(x + y)
"""

CANDIDATES = {
    "right": RIGHT,
    "wrong": RIGHT.replace("tl.maximum(value, 0.0)", "value"),
    "broken": RIGHT.replace("tl.maximum(value, 0.0)", "tl.relu6(value)"),
    "syntax": RIGHT + "\ndef (:\n",
    "hangs": RIGHT.replace(
        "        n = out.numel()\n", "        n = out.numel()\n        while True:\n            pass\n"
    ),
    "torch_only": TORCH_ONLY,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify")
    (path / "reference.py").write_text(REFERENCE)
    for name, code in CANDIDATES.items():
        (path / f"{name}.py").write_text(code)
    return path


def tritonrl(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tritonrl_core.cli import main; main()", *arguments]
    environment = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=550, check=False)


@pytest.fixture(scope="module")
def judged(folder: Path) -> tuple[int, dict[str, dict[str, object]]]:
    """All candidates judged in one call, by file name."""
    files = [f"{name}.py" for name in CANDIDATES]
    done = tritonrl(
        "verify", "reference.py", *files, "--preset", "baseline", "--json", "--set", "verifier.timeout_s=5", cwd=folder
    )
    assert done.stdout, done.stderr
    records = json.loads(done.stdout)
    assert [record["candidate"] for record in records] == files
    return done.returncode, {record["candidate"].removesuffix(".py"): record for record in records}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("right", "PASSED"),
        ("wrong", "WRONG"),
        ("broken", "BUILD_ERROR"),
        ("syntax", "REJECTED"),
        ("hangs", "TIMEOUT"),
        ("torch_only", "REJECTED"),
    ],
)
def test_each_kernel_is_judged_as_what_it_is(
    judged: tuple[int, dict[str, dict[str, object]]], name: str, status: str
) -> None:
    record = judged[1][name]
    assert record["status"] == status, record["reason"]
    assert record["correct"] is (status == "PASSED")
    assert record["reason"] or status == "PASSED"


def test_one_that_did_not_pass_makes_the_exit_code_one(judged: tuple[int, dict[str, dict[str, object]]]) -> None:
    assert judged[0] == 1


def test_every_promised_key_is_there(judged: tuple[int, dict[str, dict[str, object]]]) -> None:
    promised = {
        "task", "candidate", "status", "stage", "valid", "compiled", "correct", "speedup", "speedup_low", "estimated",
        "cases_passed", "cases_total", "worst_error", "reason", "source", "sandbox", "unchecked", "facts",
    }  # fmt: skip
    for record in judged[1].values():
        assert set(record) == promised


def test_without_a_gpu_speed_is_marked_as_an_estimate(judged: tuple[int, dict[str, dict[str, object]]]) -> None:
    right = judged[1]["right"]
    if right["speedup"] is not None:
        assert right["estimated"] is True
    assert right["unchecked"], "what an interpreter cannot see must be said"


def test_all_passed_exits_zero_and_says_where_it_ran(folder: Path) -> None:
    done = tritonrl("verify", "reference.py", "right.py", "--preset", "baseline", "--device", "cpu", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout
    assert "device cpu" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "absent.py", "right.py"], ["absent.py", "no such file"]),
        (["verify", "reference.py", "absent.py"], ["absent.py", "no such file"]),
        (["verify", "reference.py", "."], ["cannot be read"]),
        (["verify", "right.py", "right.py"], ["right.py", "Model"]),
        (["verify", "reference.py", "right.py", "--preset", "baselin"], ["baselin", "baseline"]),
        (["verify", "reference.py", "right.py", "--preset", "baseline", "--set", "verifier.devise=cpu"], ["device"]),
        (["train"], ["--preset"]),
        (["train", "--preset", "nothing.yaml"], ["nothing.yaml"]),
        (["train", "--resume", "nowhere"], ["nowhere"]),
        (["train", "--preset", "baseline", "--model", "./absent"], ["absent"]),
        (["tasks", "show", "l1_softmaxx"], ["l1_softmax"]),
        (["presets", "show", "easy_combi"], ["easy_combo"]),
        (["plugins", "new", "mine", "--hook", "pre_filter", "--out", "right.py/mine"], ["right.py/mine", "directory"]),
        (["tasks", "generate", "--count", "1", "--out", "right.py"], ["right.py is there already", "or remove it"]),
    ],
)
def test_bad_usage_is_one_message_with_exit_code_two(folder: Path, arguments: list[str], words: list[str]) -> None:
    done = tritonrl(*arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr.replace("\n", " ")


def test_a_reference_that_raises_names_its_file_and_line(folder: Path) -> None:
    (folder / "raises.py").write_text(
        REFERENCE.replace("torch.randn(ROWS, COLS), torch", "torch.rnd(ROWS, COLS), torch")
    )
    done = tritonrl("verify", "raises.py", "right.py", "--preset", "baseline", cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "raises.py" in done.stderr
    assert "line 14" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["multi_input_only", "staged_eval_only"])
def test_a_reference_that_raises_is_nobody_elses_fault(folder: Path, preset: str) -> None:
    (folder / "raises.py").write_text(REFERENCE.replace("return torch.relu(x + y)", "raise SystemExit(7)"))
    done = tritonrl("verify", "raises.py", "right.py", "--preset", preset, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("raises.py, line 10: forward raised SystemExit") == 1
    assert "plugin" not in done.stderr
