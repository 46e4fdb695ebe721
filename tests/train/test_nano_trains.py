"""The newcomer's first command, made short: nano trained for two steps with every extension and the real verifier."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import tritonrl_nano
from safetensors.torch import load_file

from tritonrl_core.runs import read_metrics, read_scores
from tritonrl_core.types import Status

NANO = Path(tritonrl_nano.__file__).parent
STEPS, COMPLETIONS, TASKS = 2, 16, 4


@pytest.mark.slow
def test_nano_trains_for_a_few_steps_with_every_extension(tmp_path: Path) -> None:
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text("".join((NANO / "suite/held_out.jsonl").read_text().splitlines(keepends=True)[:TASKS]))
    changes = [
        f"train.grpo.max_steps={STEPS}",
        f"train.grpo.per_device_train_batch_size={COMPLETIONS}",
        f"eval.suite={held_out}",
        "eval.samples=2",
        "verifier.device=cpu",
    ]
    command = ["train", "--preset", "all_extensions", "--out", str(tmp_path / "run")]
    command += [part for change in changes for part in ("--set", change)]
    done = subprocess.run(
        [sys.executable, "-c", "from tritonrl_core.cli import main; main()", *command],
        capture_output=True,
        text=True,
        timeout=550,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert said[-1].startswith("gain: ")
    assert [line.split(":")[0].split(",")[0] for line in said[-4:]] == ["before", "after", "by level", "gain"]
    assert "Traceback" not in done.stderr
    statuses = Counter(score.verdict.status for score in read_scores(tmp_path / "run"))
    assert statuses.total() == STEPS * COMPLETIONS
    assert statuses[Status.INFRA] == 0
    assert len(statuses) > 1  # right and wrong ones, or there was nothing to learn
    stages = [row["stage"] for row in read_metrics(tmp_path / "run")]
    assert stages == ["eval", "rl", "rl", "eval"]
    shipped = load_file(NANO / "model/model.safetensors")
    trained = load_file(tmp_path / "run/checkpoints/rl/final/model.safetensors")
    assert any(not shipped[name].float().equal(trained[name]) for name in shipped)
