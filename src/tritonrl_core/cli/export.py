"""`tritonrl export`: a run's best kernels as modules that need torch and triton alone."""

from __future__ import annotations

from logging import ERROR, LogRecord
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tritonrl_core.cli.options import RunOverrides, RunPreset
from tritonrl_core.cli.output import stderr
from tritonrl_core.cli.reverify import run_preset
from tritonrl_core.errors import InfraError, UsageError

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset
    from tritonrl_core.types import Score, Task


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run or an evaluation.")],
    tasks: Annotated[list[str], typer.Option("--task", help="A task that the run solved; may be given again.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("exported"),
    preset: RunPreset = None,
    overrides: RunOverrides = None,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Judge the kernel again before it goes.")] = True,
) -> None:
    """Write the best verified kernel of a task, its reference and a test of it, with where it comes from."""
    from tritonrl_core.evaluate.reverify import not_here, run_scores, run_tasks
    from tritonrl_core.report.export import best_score, export_kernel
    from tritonrl_core.session import Session

    chosen = run_preset(run, preset, overrides or [])
    scores = run_scores(run)
    best = [best_score(scores, name) for name in tasks]
    known = run_tasks(run, chosen, Session.open(chosen))
    for score in best:
        if score.task_key not in known:
            raise UsageError(
                f"the reference of task {score.task_id!r} is not at hand: {not_here(score.task_id, known)}",
                remedy="Use the version, plugins and task files that the run was made with (plugins.lock.json).",
            )
    if verify:
        best = _verified(chosen, [(known[score.task_key], score) for score in best])
    about = _about(run, chosen, verified_again=verify)
    for score in best:
        written = export_kernel(score, known[score.task_key], out, about)
        for path in (written.kernel, written.reference, written.test):
            typer.echo(path)


def _verified(preset: Preset, pairs: list[tuple[Task, Score]]) -> list[Score]:
    """The scores with today's verdict and speed. Raises `UsageError` where one does not pass any more or a reference
    does not run, `InfraError` where one could not be judged.
    """
    from dataclasses import replace

    from tritonrl_core.cli.verify import say_where
    from tritonrl_core.types import Status
    from tritonrl_core.verifier import Verifier, log

    log.addFilter(_is_no_fault)  # that is raised below, and said once
    try:
        with Verifier(preset) as verifier:
            say_where(verifier.bench.describe(), preset.name)
            again = verifier.verify_batch([(task, score.candidate) for task, score in pairs])
    finally:
        log.removeFilter(_is_no_fault)
    for now in again:
        told = f"{now.verdict.status.value} today: {now.verdict.reason}"
        match now.verdict.status:
            case Status.PASSED:
                stderr().print(f"{now.task_id}: verified again", style="dim", highlight=False, markup=False)
            case Status.INFRA:
                raise verifier.broken.get(now.task_key) or InfraError(
                    f"the best kernel for {now.task_id!r} cannot be judged, {told}",
                    remedy="--no-verify exports it as it was judged in the run.",
                )
            case _:
                raise UsageError(
                    f"the best kernel for {now.task_id!r} is {told}",
                    remedy="See `tritonrl reverify`; --no-verify exports it all the same.",
                )
    return [replace(now, step=then.step, group=then.group) for now, (_, then) in zip(again, pairs, strict=True)]


def _is_no_fault(entry: LogRecord) -> bool:
    return entry.levelno < ERROR


def _about(run: Path, preset: Preset, *, verified_again: bool) -> dict[str, Any]:
    from tritonrl_core.runs import installed_versions, read_run

    plugins = {item["name"]: f"{item['distribution']} {item['version']}" for item in read_run(run)[1]["plugins"]}
    return {
        "run": run.resolve().name,
        "model": preset.train.model,
        "preset": preset.name,
        "plugins": plugins,
        "versions": installed_versions(),
        "verified_again": verified_again,
    }
