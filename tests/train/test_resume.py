"""A run that is killed and resumed gives the scores of one that never was, and judges nothing twice."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import read_metrics, read_scores
from tritonrl_core.train.faults import MOST_IN_A_ROW
from tritonrl_core.train.held_out import HeldOut, Shares, gain_lines
from tritonrl_core.train.progress import StepReport
from tritonrl_core.train.run import train
from tritonrl_core.types import Score

SCRIPT = Path(__file__).parent / "run_kit.py"
REFERENCE = """\
import torch
import torch.nn as nn
N = {n}
class Model(nn.Module):
    def forward(self, x):
        return x + {n}
def get_inputs():
    return [torch.randn(N)]
def get_init_inputs():
    return []
"""


@pytest.fixture(scope="module")
def kit() -> Any:
    spec = importlib.util.spec_from_file_location("run_kit", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks") / "level1"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n + 1}_add.py").write_text(REFERENCE.format(n=n + 1))
    return folder


@pytest.fixture(scope="module")
def whole(kit: Any, tiny_policy: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never killed."""
    root = tmp_path_factory.mktemp("whole")
    kit.run(tiny_policy, root / "log", task_folder, out=root / "run")
    return root / "run"


def test_a_run_leaves_scores_metrics_model_and_events(whole: Path) -> None:
    assert len(list(read_scores(whole))) == 6 * 8
    rows = list(read_metrics(whole))
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all("correct_rate" in row and "level/1" in row and "time/generation_s" in row for row in rows)
    assert (whole / "checkpoints/rl/final/model.safetensors").is_file()
    assert (whole / "preset.resolved.yaml").is_file()
    assert list((whole / "tensorboard").rglob("events.*"))


def test_the_same_run_again_gives_the_same_scores(
    kit: Any, tiny_policy: Path, task_folder: Path, whole: Path, tmp_path: Path
) -> None:
    kit.run(tiny_policy, tmp_path / "log", task_folder, out=tmp_path / "run")
    assert kit.outcome(tmp_path / "run") == kit.outcome(whole)
    assert len({row[3] for row in kit.outcome(whole)}) > 20  # samples differ, or nothing would be shown


class Listener:
    """Keeps what is said and which stages were begun."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stages: list[str] = []

    def begin(self, stage: str, total: int) -> None:
        self.stages.append(f"{stage} {total}")

    def say(self, text: str) -> None:
        self.said.append(text)

    def judged(self, score: Score) -> None:
        assert score.task_id

    def update(self, report: StepReport) -> None:
        assert 0 < report.step <= report.total


def test_an_evaluation_before_and_after_changes_no_score_and_is_the_result(
    kit: Any, tiny_policy: Path, task_folder: Path, whole: Path, tmp_path: Path
) -> None:
    listener = Listener()
    summary = kit.run(
        tiny_policy, tmp_path / "log", task_folder, out=tmp_path / "run", evaluate=True, progress=listener
    )
    assert kit.outcome(tmp_path / "run") == kit.outcome(whole)
    assert listener.stages == ["held out, before 9", "rl 6", "held out, after 9"]
    assert summary.before is not None
    assert summary.after is not None
    assert (summary.after.sampled.samples, summary.after.greedy.samples) == (6, 3)
    gain = 100 * (summary.after.sampled.correct - summary.before.sampled.correct)
    assert summary.result[-1].startswith(f"gain: {gain:+.1f} points at temperature 1")
    evaluated = [row for row in read_metrics(tmp_path / "run") if row["stage"] == "eval"]
    assert [(row["when"], row["step"]) for row in evaluated] == [("before", 0), ("after", 6)]
    assert evaluated[1]["sampled/correct"] == summary.after.sampled.correct


def stages_of(kit: Any, *arguments: Any, evaluate: bool | None = True, **options: Any) -> list[str]:
    listener = Listener()
    kit.run(*arguments, evaluate=evaluate, progress=listener, **options)
    return listener.stages


def test_an_evaluation_that_is_done_is_not_repeated(
    kit: Any, tiny_policy: Path, task_folder: Path, whole: Path, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    with pytest.raises(KeyboardInterrupt):
        stages_of(kit, tiny_policy, log, task_folder, out=run, die_after=28, overrides=["eval.every=4"])
    assert stages_of(kit, tiny_policy, log, task_folder, resume=run) == [
        "rl 6", "held out, step 4 9", "held out, after 9",
    ]  # fmt: skip
    assert kit.outcome(run) == kit.outcome(whole)
    rows = [(row["when"], row["step"]) for row in read_metrics(run) if row["stage"] == "eval"]
    assert rows == [("before", 0), ("step 4", 4), ("after", 6)]
    assert stages_of(kit, tiny_policy, log, task_folder, resume=run) == []


@pytest.mark.parametrize("evaluate", [True, False])
def test_a_resumed_run_evaluates_if_it_began_so_where_nobody_says(
    kit: Any, tiny_policy: Path, task_folder: Path, tmp_path: Path, evaluate: bool
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    with pytest.raises(KeyboardInterrupt):
        stages_of(kit, tiny_policy, log, task_folder, out=run, die_after=28, evaluate=evaluate)
    stages = stages_of(kit, tiny_policy, log, task_folder, resume=run, evaluate=None)
    assert stages == ["rl 6", *(["held out, after 9"] if evaluate else [])]


def test_a_run_that_was_killed_in_its_last_evaluation_makes_it_when_resumed(
    kit: Any, tiny_policy: Path, task_folder: Path, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    kit.run(tiny_policy, log, task_folder, out=run)
    assert stages_of(kit, tiny_policy, log, task_folder, resume=run) == ["held out, after 9"]


def test_a_run_that_cannot_judge_stops_with_one_message(
    kit: Any, tiny_policy: Path, task_folder: Path, tmp_path: Path
) -> None:
    for evaluate in (False, True):
        with pytest.raises(InfraError, match=r"in a row could not be judged.*: no sandbox here") as refusal:
            kit.run(
                tiny_policy, tmp_path / "log", task_folder, out=tmp_path / f"run-{evaluate}", evaluate=evaluate,
                fault="no sandbox here", overrides=["eval.samples=8"],
            )  # fmt: skip
        assert "tritonrl doctor" in refusal.value.remedy
        assert len(list(read_scores(tmp_path / f"run-{evaluate}"))) == (0 if evaluate else MOST_IN_A_ROW)


def test_adapters_are_trained_resumed_and_merged(
    kit: Any, tiny_policy: Path, task_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    options = {"overrides": ["train.lora={r: 2, lora_alpha: 64, target_modules: all-linear}"]}
    kit.run(tiny_policy, tmp_path / "log", task_folder, out=tmp_path / "run", **options)
    with pytest.raises(KeyboardInterrupt):
        kit.run(tiny_policy, tmp_path / "log2", task_folder, out=tmp_path / "torn", die_after=20, **options)
    kit.run(tiny_policy, tmp_path / "log2", task_folder, resume=tmp_path / "torn")
    assert kit.outcome(tmp_path / "torn") == kit.outcome(tmp_path / "run")
    before, after, resumed = (
        load_file(folder / "model.safetensors")
        for folder in (tiny_policy, *(tmp_path / name / "checkpoints/rl/final" for name in ("run", "torn")))
    )
    assert before.keys() == after.keys()  # a plain model again
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name in before if "proj" in name}
    assert all(after[name].equal(resumed[name]) for name in after)


@pytest.mark.parametrize("die_after", [3, 19, 41])
def test_resumed_in_the_middle_of_a_batch(
    kit: Any, tiny_policy: Path, task_folder: Path, whole: Path, tmp_path: Path, die_after: int
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    with pytest.raises(KeyboardInterrupt):
        kit.run(tiny_policy, log, task_folder, out=run, die_after=die_after)
    kit.run(tiny_policy, log, task_folder, resume=run)
    assert kit.outcome(run) == kit.outcome(whole)
    assert [row["step"] for row in read_metrics(run)] == [1, 2, 3, 4, 5, 6]
    assert max(Counter(log.read_text().splitlines()).values()) == 1
    assert len(list(read_scores(run, superseded=True))) >= len(kit.outcome(run))


def test_a_complete_run_is_not_trained_again(
    kit: Any, tiny_policy: Path, task_folder: Path, whole: Path, tmp_path: Path
) -> None:
    before = kit.outcome(whole)
    summary = kit.run(tiny_policy, tmp_path / "log", task_folder, resume=whole)
    assert summary.rl_steps == 0
    assert kit.outcome(whole) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [("eval.suite=nosuch", "no suite 'nosuch'"), ("verifier.device=cuda", "no GPU"), ("train.model=./x", "not exist")],
)
def test_what_cannot_work_is_said_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, words: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UsageError, match=words):
        train(load_preset("baseline", [change]), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_resuming_what_is_no_run_is_refused(kit: Any, tiny_policy: Path, task_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run's folder"):
        kit.run(tiny_policy, tmp_path / "log", task_folder, resume=tmp_path)


class Impatient:
    """A watcher that presses Ctrl-C when a step is done."""

    def __init__(self, at_step: int) -> None:
        self.at_step = at_step

    def begin(self, stage: str, total: int) -> None: ...

    def say(self, text: str) -> None: ...

    def judged(self, score: Score) -> None: ...

    def update(self, report: StepReport) -> None:
        if report.step == self.at_step:
            raise KeyboardInterrupt


def test_a_cold_start_that_was_killed_ends_in_the_same_weights(tiny_policy: Path, tmp_path: Path) -> None:
    data = load_preset("baseline").dump()
    sft = {"max_steps": 5, "per_device_train_batch_size": 2, "learning_rate": 1e-2, "save_steps": 2}
    preset = Preset.from_data({**data, "train": {**data["train"], "model": str(tiny_policy), "sft": sft}})
    train(preset, out=tmp_path / "whole", stage="sft")
    with pytest.raises(KeyboardInterrupt):
        train(preset, out=tmp_path / "torn", stage="sft", progress=Impatient(at_step=3))
    assert not (tmp_path / "torn/checkpoints/sft/final").exists()
    train(None, resume=tmp_path / "torn", stage="sft")
    assert [row["step"] for row in read_metrics(tmp_path / "torn")] == [1, 2, 3, 4, 5]
    weights = [load_file(tmp_path / name / "checkpoints/sft/final/model.safetensors") for name in ("whole", "torn")]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_moments(
    tiny_policy: Path, task_folder: Path, whole: Path, tmp_path: Path, kit: Any, seed: int
) -> None:
    run, log, rng = tmp_path / "run", tmp_path / "log", random.Random(seed)
    kills = 0
    for attempt in range(6):
        how = "--resume" if (run / "preset.resolved.yaml").exists() else "--out"
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tiny_policy), str(log), str(task_folder), how, str(run)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        wait_for_growth(run / "scores.jsonl", process)
        time.sleep(rng.uniform(0.0, 0.4))
        if attempt < 5 and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        errors = process.communicate()[1].decode()
        assert process.returncode == 0, errors[-3000:]
        break
    assert kills >= 2
    assert kit.outcome(run) == kit.outcome(whole)
    # A kill between a score's line on disk and its line in this log loses the latter only, so nothing is there twice.
    assert max(Counter(log.read_text().splitlines()).values()) == 1


def wait_for_growth(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the process has added a score, or ended."""
    before = path.stat().st_size if path.exists() else 0
    while process.poll() is None and (not path.exists() or path.stat().st_size <= before):
        time.sleep(0.02)


def test_what_an_evaluation_says_of_each_level_survives_the_journal_and_is_told() -> None:
    def half(share: float, levels: dict[int, float]) -> Shares:
        return Shares(share, share - 0.1, share + 0.1, 1.0, 1.0, 64, 16, 0, 1.0, levels)

    before = HeldOut(half(0.3, {1: 0.4, 2: 0.2}), half(0.2, {1: 0.3, 2: 0.1}))
    after = HeldOut(half(0.6, {1: 0.7, 2: 0.5}), half(0.7, {1: 0.9, 2: 0.5}))
    assert HeldOut.from_figures(json.loads(json.dumps(before.figures()))) == before
    assert "by level, at temperature 1: level 1 40% -> 70%, level 2 20% -> 50%" in gain_lines(before, after)
