"""`verifier.gpus`: candidates are judged on a GPU of their own, which training leaves alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tritonrl_core.preset import load_preset
from tritonrl_core.runs import read_scores
from tritonrl_core.train.progress import Silent
from tritonrl_core.train.run import train
from tritonrl_core.types import Score, Status

SETTINGS = [
    "verifier.device=cuda",
    "verifier.gpus=[1]",
    "train.grpo.max_steps=2",
    "train.grpo.per_device_train_batch_size=32",
]


class Watch(Silent):
    """Notes, whenever a verdict comes, which processes of ours have work on which GPU; others may be there too."""

    def __init__(self) -> None:
        self.on: dict[str, set[int]] = {}

    def judged(self, score: Score) -> None:
        query = ["nvidia-smi", "--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader"]
        for line in subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines():
            gpu, pid = line.split(", ")
            if started_by(int(pid), os.getpid()):
                self.on.setdefault(gpu, set()).add(int(pid))


def started_by(pid: int, ancestor: int) -> bool:
    """Whether a process is another, or descends from it."""
    while pid > 1 and pid != ancestor:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            return False
    return pid == ancestor


@pytest.mark.gpu
def test_training_and_verification_keep_to_their_own_gpus(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.device_count() < 2:
        pytest.skip("needs 2 GPUs")
    watch = Watch()
    train(load_preset("all_extensions", SETTINGS), out=tmp_path / "run", progress=watch)
    scores = list(read_scores(tmp_path / "run"))
    assert len(scores) == 64
    assert any(score.verdict.status is Status.PASSED and score.timing for score in scores)
    assert torch.cuda.memory_reserved(0) > 0
    assert torch.cuda.memory_reserved(1) == 0
    if not watch.on:
        pytest.skip("this driver does not say which process is on which GPU")
    trains, judges = (watch.on[f"GPU-{torch.cuda.get_device_properties(index).uuid}"] for index in (0, 1))
    assert trains == {os.getpid()}
    assert judges
    assert os.getpid() not in judges
