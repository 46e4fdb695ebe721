"""`tritonrl reverify`: what today's verifier says of a run's candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonrl_core.cli.options import RunOverrides, RunPreset
from tritonrl_core.cli.output import stderr, stdout, table
from tritonrl_core.errors import InfraError

if TYPE_CHECKING:
    from tritonrl_core.evaluate.reverify import Reverified
    from tritonrl_core.preset import Preset
    from tritonrl_core.types import Score, Task

EXIT_DIFFERENT = 1


def reverify(
    run: Annotated[Path, typer.Argument(help="The folder of a run or an evaluation.")],
    preset: RunPreset = None,
    overrides: RunOverrides = None,
    task: Annotated[str | None, typer.Option(help="Only candidates of this task.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those that had this status, such as PASSED.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the newest N.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of the differences.")] = False,
) -> None:
    """Judge a run's stored candidates again under today's verifier, and list what is judged differently.

    Exit code: 0 all as then, 1 some differ, 2 bad usage, 3 some could not be judged by a fault of ours.
    """
    from tritonrl_core.evaluate.reverify import not_here, run_scores, run_tasks
    from tritonrl_core.session import Session

    chosen = run_preset(run, preset, overrides or [])
    session = Session.open(chosen)
    scores = _chosen(run_scores(run), task, status, limit)
    tasks = run_tasks(run, chosen, session)
    found = _judge(chosen, session, scores, tasks)
    if as_json:
        typer.echo(json.dumps([_row(item.then, item.now, item.what) for item in found.differences], indent=2))
    else:
        _show(found)
    for name, count in found.gone.items():
        why = not_here(name, tasks)
        stderr().print(f"{name}: {count} not judged, {why}", style="dim", highlight=False, markup=False)
    stderr().print(
        f"{found.judged} judged again, {len(found.differences)} differ"
        + (f", {found.infra} could not be judged" if found.infra else ""),
        highlight=False,
    )
    raise typer.Exit(InfraError.exit_code if found.infra else EXIT_DIFFERENT if found.differences else 0)


def run_preset(run: Path, preset: str | None, overrides: list[str]) -> Preset:
    """The named preset, else the run's own, on another machine's settings (`verifier.…`) if asked. Raises `UsageError`
    where the folder is no run's, or where an override would change the rules of a run's own preset.
    """
    from tritonrl_core.errors import UsageError
    from tritonrl_core.preset import Preset, load_preset
    from tritonrl_core.runs import PRESET_FILE, read_run

    own = read_run(run)[0]
    if preset is not None:
        return load_preset(preset, overrides)
    if not overrides:
        return Preset.from_data(own, label=str(run))
    for override in overrides:
        if not override.startswith("verifier."):
            raise UsageError(
                f"--set {override}: of a run's own preset only the machine's settings (verifier.…) may be changed",
                remedy="Name another preset with --preset to judge by other rules.",
            )
    return load_preset(run / PRESET_FILE, overrides)


def _chosen(scores: list[Score], task: str | None, status: str | None, limit: int | None) -> list[Score]:
    """The different candidates that were asked for. Raises `UsageError` for names that are not there."""
    from tritonrl_core.errors import UsageError, did_you_mean
    from tritonrl_core.evaluate.reverify import different_candidates
    from tritonrl_core.types import Status

    if status is not None and status.upper() not in Status.__members__:
        raise UsageError(f"there is no status {status!r}", remedy=did_you_mean(status.upper(), Status.__members__))
    if task is not None and all(score.task_id != task for score in scores):
        raise UsageError(
            f"no candidate of task {task!r} in this run", remedy=did_you_mean(task, {score.task_id for score in scores})
        )
    kept = [
        score
        for score in different_candidates(scores)
        if task in (None, score.task_id) and (status is None or score.verdict.status.value == status.upper())
    ]
    return kept[-limit:] if limit else kept


def _judge(preset: Preset, session: object, scores: list[Score], tasks: dict[str, Task]) -> Reverified:
    from tritonrl_core.cli.live import LiveProgress
    from tritonrl_core.cli.verify import say_where
    from tritonrl_core.evaluate.reverify import reverify as judge_again
    from tritonrl_core.train.progress import StepReport
    from tritonrl_core.verifier import Verifier

    total, done = sum(score.task_key in tasks for score in scores), 0
    with Verifier(preset) as verifier, LiveProgress() as progress:
        say_where(verifier.bench.describe(), preset.name)
        progress.begin("reverify", total)

        def tell(score: Score) -> None:
            nonlocal done
            done += 1
            progress.judged(score)
            progress.update(StepReport(stage="reverify", step=done, total=total, seconds_left=progress.left(done)))

        return judge_again(scores, tasks, verifier, tell)


def _show(found: Reverified) -> None:
    if not found.differences:
        return
    rows = table("task", "step", "then → now", "reason today")
    for item in found.differences:
        reason = item.now.verdict.reason or f"was: {item.then.verdict.reason}"
        rows.add_row(item.then.task_id, str(item.then.step), item.what, " ".join(reason.split()))
    stdout().print(rows)


def _row(then: Score, now: Score, what: str) -> dict[str, object]:
    return {
        "task": then.task_id,
        "candidate": then.candidate.key,
        "step": then.step,
        "what": what,
        "then": {"status": then.verdict.status.value, "reason": then.verdict.reason},
        "now": {"status": now.verdict.status.value, "reason": now.verdict.reason},
    }
