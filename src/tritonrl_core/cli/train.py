"""`tritonrl train`: the main job."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tritonrl_core.cli.output import stderr
from tritonrl_core.errors import UsageError


class Stage(StrEnum):
    SFT = "sft"
    RL = "rl"
    ALL = "all"


def train(
    preset: Annotated[str | None, typer.Option(help="Preset name or file.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Bundled name, local folder or hub name; overrides the preset.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the preset.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder. [default: runs/<preset>-<time>]")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a run that was killed: its folder.")] = None,
    evaluate: Annotated[
        bool | None,
        typer.Option(
            "--eval/--no-eval",
            help="Judge the model on held-out tasks before and after. [default: yes; with --resume as the run began]",
            show_default=False,
        ),
    ] = None,
    stage: Annotated[Stage, typer.Option(help="Supervised cold start, reinforcement learning, or both.")] = Stage.ALL,
) -> None:
    """Train a model with a preset, from supervised cold start to reinforcement learning."""
    chosen = None
    if resume is None:
        if preset is None:
            raise UsageError(
                "no preset named", remedy="Say --preset NAME|FILE (`tritonrl presets list`), or --resume RUN."
            )
        from tritonrl_core.preset import load_preset

        chosen = load_preset(preset, overrides or [])
    else:
        clash = [
            flag
            for flag, value in (("--preset", preset), ("--model", model), ("--set", overrides), ("--out", out))
            if value
        ]
        if clash:
            raise UsageError(
                f"--resume goes on with the run's own preset; {', '.join(clash)} cannot be given as well",
                remedy="Start a new run to change something.",
            )

    from tritonrl_core.cli.live import LiveProgress
    from tritonrl_core.train.run import train as run_training

    with LiveProgress() as progress:
        summary = run_training(
            chosen, model=model, out=out, resume=resume, stage=stage.value, evaluate=evaluate, progress=progress
        )
    if summary.rl_steps and os.environ.get("RANK", "0") == "0":
        from tritonrl_core.report.page import write_report

        stderr().print(f"report: {write_report(summary.folder)}", highlight=False, markup=False)
        for line in summary.result:
            stderr().print(line, highlight=False, markup=False, soft_wrap=True)
