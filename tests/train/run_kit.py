"""A whole run on the tiny policy, judged by hash. As a script: `run_kit.py POLICY LOG TASKS (--out|--resume) DIR`."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import read_scores
from tritonrl_core.train.run import RunSummary, train
from tritonrl_core.types import Candidate, RewardParts, Score, Stage, Status, Task, Verdict


class HashScorer:
    """Judges by a hash of the text, remembers what is known, and logs what it judged once that is on disk.

    After `die_after` new judgements it raises KeyboardInterrupt, as a user's Ctrl-C in the middle of a batch does.
    """

    def __init__(
        self, known: Sequence[Score], log: Path, die_after: int = -1, pause_s: float = 0.0, fault: str = ""
    ) -> None:
        self._known = {(score.task_key, score.candidate.text): score for score in known}
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._left = die_after
        self._pause_s = pause_s
        self._fault = fault

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        scores = []
        for index, (task, candidate) in enumerate(jobs):
            key = (task.key, candidate.text)
            is_new = key not in self._known
            if is_new:
                if self._left == 0:
                    raise KeyboardInterrupt
                self._left -= 1
                time.sleep(self._pause_s)
                self._known[key] = judge(task, candidate, self._fault)
            scores.append(self._known[key])
            if on_score:
                on_score(index, scores[-1])
            if is_new:
                os.write(self._log, (json.dumps(key) + "\n").encode())
        return scores


def judge(task: Task, candidate: Candidate, fault: str = "") -> Score:
    if fault:
        verdict = Verdict(Status.INFRA, Stage.FULL, reason=fault)
        return Score(task.id, task.level, task.key, candidate, verdict, None, RewardParts(None, None))
    right = hashlib.sha256((task.key + candidate.text).encode()).digest()[0] % 2 == 0
    verdict = Verdict(Status.PASSED if right else Status.WRONG, Stage.FULL, valid=True, compiled=True)
    return Score(task.id, task.level, task.key, candidate, verdict, None, RewardParts(float(right), 0.0))


def tiny_preset(policy: Path, tasks: Path, overrides: Sequence[str] = ()) -> Preset:
    """Six steps and three checkpoints, in a few seconds. `overrides` are of `eval` and `train.lora`."""
    data = load_preset("baseline", ["eval.samples=2", *overrides]).dump()
    grpo = {
        "max_steps": 6,
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 8,
        "learning_rate": 1e-2,
        "save_steps": 2,
        "gradient_checkpointing": False,
    }
    sft = {"max_steps": 0}
    return Preset.from_data(
        {
            **data,
            "tasks": {"suite": "none", "paths": [str(tasks)]},
            "levels": {1: 1.0},
            "eval": {**data["eval"], "suite": str(tasks)},
            "train": {**data["train"], "model": str(policy), "sft": sft, "grpo": grpo},
        }
    )


def run(
    policy: Path,
    log: Path,
    tasks: Path,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    die_after: int = -1,
    pause_s: float = 0.0,
    fault: str = "",
    overrides: Sequence[str] = (),
    **options: Any,
) -> RunSummary:
    def open_scorer(preset: Preset, session: Any, known: Sequence[Score]) -> HashScorer:
        return HashScorer(known, log, die_after, pause_s, fault)

    preset = None if resume else tiny_preset(policy, tasks, overrides)
    return train(preset, out=out, resume=resume, open_scorer=open_scorer, **options)


def outcome(root: Path) -> list[tuple[Any, ...]]:
    """What a run's scores say, apart from when and how fast they came."""
    return sorted(
        (s.step, s.group, s.task_id, s.candidate.text, s.verdict.status, s.reward.correctness)
        for s in read_scores(root)
    )


if __name__ == "__main__":
    policy, log, tasks, how, folder = sys.argv[1:]
    # A pause, so that there are moments to be killed in: judging takes time.
    run(Path(policy), Path(log), Path(tasks), pause_s=0.03, **{how.removeprefix("--"): Path(folder)})
