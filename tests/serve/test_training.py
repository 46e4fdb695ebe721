"""A training run whose candidates are judged by a service, end to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.runs import read_scores
from tritonrl_core.serve.client import RemoteVerifier
from tritonrl_core.train.opening import check, open_verifier
from tritonrl_core.types import Status

TRITONRL = [sys.executable, "-c", "from tritonrl_core.cli import main; main()"]
STEPS, COMPLETIONS = 2, 16


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_preset_with_a_url_is_judged_there() -> None:
    preset = load_preset("baseline", ["verifier.url=http://127.0.0.1:1"])
    verifier = open_verifier(preset, session=None, known=())
    assert isinstance(verifier, RemoteVerifier)
    assert verifier.url == "http://127.0.0.1:1"
    verifier.close()


def test_a_service_that_is_not_there_is_said_before_anything_is_made() -> None:
    with pytest.raises(UsageError, match=r"verifier\.url: http://127\.0\.0\.1:1 does not answer"):
        check(load_preset("baseline", ["verifier.url=http://127.0.0.1:1"]))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nano_learns_from_a_service(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    shared = ["--preset", "baseline", "--set", "verifier.device=cpu"]
    service = subprocess.Popen(
        [*TRITONRL, "serve", *shared, "--port", str(port), "--store", str(tmp_path / "store")],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while "listening" not in (line := service.stderr.readline()):
            assert line, "the service ended before it listened"
        changes = [
            f"train.grpo.max_steps={STEPS}",
            f"train.grpo.per_device_train_batch_size={COMPLETIONS}",
            f"verifier.url={url}",
        ]
        command = ["train", *shared, "--no-eval", "--out", str(tmp_path / "run")]
        command += [part for change in changes for part in ("--set", change)]
        done = subprocess.run([*TRITONRL, *command], env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        service.send_signal(signal.SIGTERM)
        service.wait(60)
    finally:
        service.kill()
    trained, served = list(read_scores(tmp_path / "run")), list(read_scores(tmp_path / "store"))
    assert len(trained) == STEPS * COMPLETIONS
    assert Counter(score.verdict.status for score in trained)[Status.INFRA] == 0
    kept = {(score.task_key, score.candidate.key): score.verdict.status for score in served}
    assert {(s.task_key, s.candidate.key): s.verdict.status for s in trained} == kept
