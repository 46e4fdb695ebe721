"""A run's folder, read whole: of a training or of an evaluation. Computes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonrl_core.errors import UsageError
from tritonrl_core.runs import EVAL_FILE, read_metrics, read_run, read_scores
from tritonrl_core.types import Score


@dataclass(frozen=True, slots=True)
class RunData:
    """What lies in a run's folder. `question` is what an evaluation was asked, None for a training."""

    root: Path
    preset: Mapping[str, Any]
    lock: Mapping[str, Any]
    scores: Sequence[Score]
    metrics: Sequence[Mapping[str, Any]]
    question: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        return self.root.resolve().name

    @property
    def alpha(self) -> float:
        """Weight of the speed in the reward."""
        return float(self.preset.get("reward", {}).get("alpha", 0.0))


def load_run(root: Path) -> RunData:
    """Read a run. Raises `UsageError` where the folder holds none, or nothing was judged in it yet."""
    preset, lock = read_run(root)
    if (root / EVAL_FILE).is_file():
        from tritonrl_core.evaluate.evaluation import last_scores

        question = json.loads((root / EVAL_FILE).read_text())
        scores: Sequence[Score] = last_scores(root)
    else:
        question, scores = None, list(read_scores(root))
    if not scores:
        raise UsageError(f"{root}: nothing was judged in this run yet", remedy="Wait for its first step.")
    return RunData(root, preset, lock, scores, list(read_metrics(root)), question)
