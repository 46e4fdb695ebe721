"""`tritonrl train`: the main job."""

from __future__ import annotations

import os
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tritonrl_core.cli.output import stderr
from tritonrl_core.errors import UsageError

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset


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
    launch: Annotated[
        str | None,
        typer.Option(metavar="ddp|fsdp2|FILE", help="Train on several GPUs, by accelerate with this configuration."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=2, help="With --launch: how many. [default: one for each GPU that verifier.gpus does not name]"
        ),
    ] = None,
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

    if launch is None and processes is not None:
        raise UsageError("--processes is for --launch", remedy="Say --launch ddp (or fsdp2) as well.")
    if launch is not None and "RANK" not in os.environ:
        flags = {"--preset": preset, "--model": model, "--out": out, "--resume": resume, "--stage": stage.value}
        given = [part for flag, value in flags.items() if value is not None for part in (flag, str(value))]
        changes = [part for change in overrides or () for part in ("--set", change)]
        _start_ranks(
            launch, processes, chosen, model, resume, [*given, *changes, "--eval" if evaluate else "--no-eval"]
        )

    from tritonrl_core.cli.live import LiveProgress
    from tritonrl_core.train.progress import Silent
    from tritonrl_core.train.run import train as run_training

    with LiveProgress() if _is_main_process() else nullcontext(Silent()) as progress:
        summary = run_training(
            chosen, model=model, out=out, resume=resume, stage=stage.value, evaluate=evaluate, progress=progress
        )
    _leave_ranks()
    if summary.rl_steps and _is_main_process():
        from tritonrl_core.report.page import write_report

        stderr().print(f"report: {write_report(summary.folder)}", highlight=False, markup=False)
        for line in summary.result:
            stderr().print(line, highlight=False, markup=False, soft_wrap=True)


def _start_ranks(
    launch: str,
    processes: int | None,
    preset: Preset | None,
    model: str | None,
    resume: Path | None,
    arguments: list[str],
) -> NoReturn:
    """Become accelerate's launcher of this command. What cannot work is said before, once."""
    from tritonrl_core.preset import Preset
    from tritonrl_core.runs import read_run
    from tritonrl_core.train.launch import command, configuration, processes_for
    from tritonrl_core.train.opening import check, quiet_libraries, with_model

    configuration(launch)
    preset = with_model(preset, model) if preset else Preset.from_data(read_run(resume or Path())[0], label=str(resume))
    launched = command(launch, processes or processes_for(preset), ["-m", "tritonrl_core.cli", "train", *arguments])
    quiet_libraries()
    check(preset)
    os.execv(launched[0], launched)


def _is_main_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _leave_ranks() -> None:
    """Take leave of the other ranks, if any, so that none waits for this one."""
    from accelerate import PartialState

    PartialState().destroy_process_group()
