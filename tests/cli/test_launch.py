"""`tritonrl train --launch`: what it starts, and what it says where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tritonrl_core.bench import resolve
from tritonrl_core.bench.resolve import Gpu
from tritonrl_core.cli.train import flags
from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.runs import read_metrics, read_scores
from tritonrl_core.train.launch import FOLDER, command, configuration, processes_for


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    hidden = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tritonrl_core.cli", "train", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **hidden})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "baseline", "--processes", "2"), "--processes is for --launch"),
        (("--preset", "baseline", "--launch", "fsdp3"), "Did you mean 'fsdp2'?"),
        (("--preset", "baseline", "--launch", "ddp"), "--processes N"),
        (("--preset", "baseline", "--launch", "ddp", "--processes", "2", "--model", "./nowhere"), "nowhere"),
    ],
)
def test_what_cannot_work_is_said_once_and_nothing_is_started(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.count(words) == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_ranks_get_the_options_that_were_given_and_no_others() -> None:
    given = {"--preset": "baseline", "--model": None, "--set": ["a=1", "b=2"], "--out": Path("x")}
    assert flags(given) == ["--preset", "baseline", "--set", "a=1", "--set", "b=2", "--out", "x"]
    assert flags({"--eval/--no-eval": None}) == []  # where nobody said, each rank decides as one process would
    assert flags({"--eval/--no-eval": True}) == ["--eval"]
    assert flags({"--eval/--no-eval": False}) == ["--no-eval"]


def test_a_process_for_each_gpu_that_is_not_the_verifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "visible_gpus", lambda: tuple(Gpu(index, "sm_90") for index in range(4)))
    assert processes_for(load_preset("baseline")) == 4
    assert processes_for(load_preset("baseline", ["verifier.gpus=[3]"])) == 3
    with pytest.raises(UsageError, match="takes the first GPUs") as refusal:
        processes_for(load_preset("baseline", ["verifier.gpus=[0]"]))
    assert "verifier.gpus=[3]" in refusal.value.remedy
    with pytest.raises(UsageError, match="leaves no GPU"):
        processes_for(load_preset("baseline", ["verifier.gpus=[0,1,2,3]"]))


def test_the_configurations_are_accelerates_and_a_file_of_ones_own_does_too(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    assert {path.stem for path in FOLDER.glob("*.yaml")} == {"ddp", "fsdp2"}
    kinds = {name: load_config_from_file(str(configuration(name))).distributed_type.value for name in ("ddp", "fsdp2")}
    assert kinds == {"ddp": "MULTI_GPU", "fsdp2": "FSDP"}
    own = tmp_path / "mine.yaml"
    own.write_text(yaml.safe_dump({**yaml.safe_load(configuration("ddp").read_text()), "num_machines": 2}))
    assert str(own) in command(str(own), 8, ["x.py"])


@pytest.mark.slow
def test_two_processes_train_nano_into_one_folder(tmp_path: Path) -> None:
    grpo = ("max_steps=1", "per_device_train_batch_size=8")
    changes = [part for change in grpo for part in ("--set", f"train.grpo.{change}")]
    started = (
        "--preset",
        "baseline",
        "--launch",
        "ddp",
        "--processes",
        "2",
        "--no-eval",
        "--out",
        str(tmp_path / "run"),
    )
    done = run(*started, *changes)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list(read_scores(tmp_path / "run"))) == 16
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == [1]
    assert done.stderr.count("report: ") == 1
    assert (tmp_path / "run/checkpoints/rl/final/model.safetensors").is_file()
