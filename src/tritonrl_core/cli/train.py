"""`tritonrl train`: the main job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tritonrl_core.cli.options import Overrides, refuse_beside_resume
from tritonrl_core.cli.output import stderr
from tritonrl_core.errors import UsageError

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset
    from tritonrl_core.train.run import RunSummary


class Stage(StrEnum):
    SFT = "sft"
    RL = "rl"
    ALL = "all"


Launch = Annotated[
    str | None,
    typer.Option(metavar="ddp|fsdp2|FILE", help="Train on several GPUs, by accelerate with this configuration."),
]
Processes = Annotated[
    int | None,
    typer.Option(
        min=2, help="With --launch: how many.", show_default="one for each GPU that verifier.gpus does not name"
    ),
]
Evaluate = Annotated[
    bool | None,
    typer.Option(
        "--eval/--no-eval",
        help="Judge the model on held-out tasks before and after.",
        show_default="yes; with --resume as the run began",
    ),
]


def train(
    preset: Annotated[str | None, typer.Option(help="Preset name or file.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Bundled name, local folder or hub name; overrides the preset.")
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/<preset>-<time>")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a run that was killed: its folder.")] = None,
    evaluate: Evaluate = None,
    stage: Annotated[Stage, typer.Option(help="Supervised cold start, reinforcement learning, or both.")] = Stage.ALL,
    launch: Launch = None,
    processes: Processes = None,
) -> None:
    """Train a model with a preset, from supervised cold start to reinforcement learning."""
    new_run = {"--preset": preset, "--model": model, "--set": overrides, "--out": out}
    if resume is not None:
        from tritonrl_core.runs import read_run

        refuse_beside_resume(new_run, "the run's own preset", "a new run")
        read_run(resume)  # a wrong name is told at once, before the libraries load
    chosen = _preset(preset, overrides or []) if resume is None else None
    if launch is None and processes is not None:
        raise UsageError("--processes is for --launch", remedy="Say --launch ddp (or fsdp2) as well.")
    if launch is not None and "RANK" not in os.environ:
        again = flags({**new_run, "--resume": resume, "--stage": stage.value, "--eval/--no-eval": evaluate})
        _start_ranks(launch, processes, chosen, model, resume, again)

    from tritonrl_core.cli.live import LiveProgress
    from tritonrl_core.train.progress import Silent
    from tritonrl_core.train.run import train as run_training

    with LiveProgress() if _is_main_process() else nullcontext(Silent()) as progress:
        summary = run_training(
            chosen, model=model, out=out, resume=resume, stage=stage.value, evaluate=evaluate, progress=progress
        )
    _leave_ranks()
    if summary.rl_steps and _is_main_process():
        _show_what_came(summary)


def _preset(name: str | None, overrides: list[str]) -> Preset:
    """The preset of a new run, which must be named."""
    from tritonrl_core.preset import load_preset

    if name is None:
        raise UsageError("no preset named", remedy="Say --preset NAME|FILE (`tritonrl presets list`), or --resume RUN.")
    return load_preset(name, overrides)


def flags(given: Mapping[str, object]) -> list[str]:
    """Options as they stand on a command line: what was not given is left out, lists are repeated, and of a pair
    (`--yes/--no`) one stands there."""
    words: list[str] = []
    for flag, value in given.items():
        if isinstance(value, bool):
            words.append(flag.split("/")[not value])
        else:
            many = value if isinstance(value, list) else [] if value is None else [value]
            words += [part for one in many for part in (flag, str(one))]
    return words


def _show_what_came(summary: RunSummary) -> None:
    """Write the report, and say what the held-out tasks say."""
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
    from tritonrl_core.train.opening import check, with_model

    configuration(launch)
    preset = with_model(preset, model) if preset else Preset.from_data(read_run(resume or Path())[0], label=str(resume))
    launched = command(launch, processes or processes_for(preset), ["-m", "tritonrl_core.cli", "train", *arguments])
    check(preset)
    os.execv(launched[0], launched)


def _is_main_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _leave_ranks() -> None:
    """Take leave of the other ranks, if any, so that none waits for this one."""
    from accelerate import PartialState

    PartialState().destroy_process_group()
