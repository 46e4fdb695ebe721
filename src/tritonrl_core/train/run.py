"""One run: the stages in order, in a folder of its own, from the start or from where a kill left it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import Preset
from tritonrl_core.train.held_out import HeldOut, gain_lines
from tritonrl_core.train.opening import open_verifier
from tritonrl_core.train.progress import Progress, Silent
from tritonrl_core.train.training import OpenScorer, Training

STAGES = ("sft", "rl", "all")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What came of a run: its folder, the trained model's folder, optimiser steps of each stage, wall seconds, and what
    the held-out suite says before and after reinforcement (None where nobody asked).
    """

    folder: Path
    model: Path
    sft_steps: int
    rl_steps: int
    seconds: float
    before: HeldOut | None = None
    after: HeldOut | None = None

    @property
    def result(self) -> Sequence[str]:
        """What the held-out suite says, in lines for a person to read last."""
        return gain_lines(self.before, self.after)


def train(
    preset: Preset | None,
    *,
    model: str | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    stage: str = "all",
    evaluate: bool | None = False,
    progress: Progress | None = None,
    open_scorer: OpenScorer | None = None,
) -> RunSummary:
    """Train `model` (the preset's, if None) as the preset says. With `resume`, the run in that folder goes on instead,
    under the preset that it was started with. `evaluate` measures the held-out suite before and after reinforcement;
    None: yes, but a resumed run as it began.

    `open_scorer` puts something else in the verifier's place (a service, say); it is closed at the end if it can be.
    Raises `UsageError` and its kin for what the user can mend.
    """
    if stage not in STAGES:
        raise UsageError(f"There is no stage {stage!r}.", remedy=f"Use one of {', '.join(STAGES)}.")
    began = time.perf_counter()
    training = Training.start(preset, model, out, resume, progress or Silent(), open_scorer or open_verifier)
    try:
        if stage in ("sft", "all"):
            training.cold_start()
        if stage in ("rl", "all"):
            training.reinforce(training.held_out.wanted() if evaluate is None else evaluate)
    except KeyboardInterrupt:
        training.progress.say(f"interrupted; go on with: tritonrl train --resume {training.run.paths.root}")
        raise
    finally:
        training.close()
    return RunSummary(
        folder=training.run.paths.root,
        model=training.model_folder,
        sft_steps=training.steps["sft"],
        rl_steps=training.steps["rl"],
        seconds=time.perf_counter() - began,
        before=training.held_out.found.get("before"),
        after=training.held_out.found.get("after"),
    )
