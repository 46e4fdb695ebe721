"""`tritonrl tasks generate`: what a preset's plugins generate, written down, with solutions for training if wanted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tritonrl_core.cli.options import Overrides
from tritonrl_core.cli.output import stderr, stdout, table
from tritonrl_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tritonrl_core.preset import Preset
    from tritonrl_core.session import Session
    from tritonrl_core.tasks.export import RowsAsTheyCome
    from tritonrl_core.types import Score, Task


def generate_tasks(
    preset: Annotated[str, typer.Option(help="The preset whose plugins generate.")] = "fusion_data_only",
    count: Annotated[int | None, typer.Option(min=1, help="How many.", show_default="the preset's")] = None,
    seed: Annotated[int | None, typer.Option(help="Another one, other tasks.", show_default="the preset's")] = None,
    split: Annotated[str, typer.Option(help="train or held_out.")] = "train",
    size: Annotated[str | None, typer.Option(help="small or full.", show_default="the preset's")] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="A .jsonl file.", show_default="standard output")] = None,
    with_solutions: Annotated[
        bool, typer.Option("--with-solutions", help="Prompts and judged solutions, for SFT: .jsonl, or a folder.")
    ] = False,
    style: Annotated[str, typer.Option(help="Prompts for a chat model, or compact ones.")] = "chat",
    judge: Annotated[
        str | None, typer.Option(help="Preset that judges solutions.", show_default="one where all may vary")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with solutions that were interrupted.")] = False,
) -> None:
    """Generate tasks with a preset's plugins, each examined and kept apart from what is tested on."""
    from tritonrl_core.session import Session
    from tritonrl_core.tasks.export import STYLES, task_row, write_rows

    if style not in STYLES:
        raise UsageError(f"there is no style {style!r}", remedy=f"Use one of {', '.join(STYLES)}.")
    place = _place(out, with_solutions, resume)
    chosen = _generating(preset, count, seed, size, split, overrides or [])
    session = Session.open(chosen)
    tasks = _examined(session, split, preset)
    if with_solutions:
        known = {row.get("task_id") for row in place.rows()} if place else set()
        left = [task for task in tasks if task.id not in known]
        _solutions(left, session, chosen, judge, style, place.add if place else _echo)
    else:
        _say(tasks)
        for task in tasks if out is None else ():
            _echo(task_row(task))
    if out is not None:
        written = place.finish() if with_solutions and place else write_rows(map(task_row, tasks), out)
        stdout().print(f"{written} {'solutions' if with_solutions else 'tasks'} in {escape(str(out))}", highlight=False)


def _echo(row: Mapping[str, object]) -> None:
    typer.echo(json.dumps(row, ensure_ascii=False))


def _place(out: Path | None, with_solutions: bool, resume: bool) -> RowsAsTheyCome | None:
    """Where rows go. Raises `UsageError` where there is something already and nobody said to go on with it."""
    from tritonrl_core.tasks.export import RowsAsTheyCome

    if resume and (out is None or not with_solutions):
        raise UsageError("--resume goes on with solutions in a file", remedy="Give --with-solutions and --out too.")
    place = RowsAsTheyCome(out) if out is not None else None
    if place is not None and place.exists() and not resume:
        remedy = "Name another place, or remove it" + ("; --resume goes on with it." if with_solutions else ".")
        raise UsageError(f"{out if out and out.exists() else place.lines} is there already", remedy=remedy)
    return place


def _generating(
    name: str, count: int | None, seed: int | None, size: str | None, split: str, overrides: Sequence[str]
) -> Preset:
    """The preset without tasks of its own: what is left comes from plugins. Nothing may equal what it holds out."""
    from tritonrl_core.preset import load_preset
    from tritonrl_core.tasks.suites import NONE, SPLITS

    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}", remedy=f"Use {' or '.join(SPLITS)}.")
    given = {"seed": seed, "tasks.size": size}
    more = [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    chosen = load_preset(name, more)
    tasks = chosen.tasks
    kept_out = (*tasks.decontaminate, tasks.suite) if tasks.suite != NONE else tasks.decontaminate
    own = tasks.model_copy(update={"suite": NONE, "paths": (), "decontaminate": kept_out})
    chosen = chosen.model_copy(update={"tasks": own})
    if count is None:
        return chosen
    option = _OPTION[split]
    return chosen.with_plugins(**{plugin: {option: count} for plugin in _that_count(chosen, option)})


_OPTION = {"train": "count", "held_out": "held_out"}
"""The option of a generating plugin that says how many tasks a split gets."""


def _examined(session: Session, split: str, preset: str) -> list[Task]:
    """What the plugins generated and is fit; says what is not. Raises `UsageError` where nothing is left."""
    curated = session.tasks(split)
    for line in curated.summary:
        stderr().print(escape(line), highlight=False)
    if not curated.kept and curated.summary:
        raise UsageError(f"none of the tasks of preset {preset} is left", remedy="See above what is wrong with them.")
    if not curated.kept:
        raise UsageError(f"no plugin of preset {preset} generates tasks", remedy="Enable one: `plugins: [fusion]`.")
    return curated.kept


def _that_count(preset: Preset, option: str) -> list[str]:
    """The preset's plugins that take a number of tasks under this option."""
    from tritonrl_core.session.assembly import find

    named = [name for name, _ in preset.plugins]
    counting = [name for name in named if option in find(name, preset)[1].Options.model_fields]
    if not counting:
        raise UsageError(
            f"preset {preset.name} enables no plugin that generates tasks by number",
            remedy="Enable one: `plugins: [fusion]`, or use --preset fusion_data_only.",
        )
    return counting


def _solutions(
    tasks: Sequence[Task], session: Session, preset: Preset, judge: str | None, style: str,
    keep: Callable[[Mapping[str, object]], None],
) -> None:  # fmt: skip
    """Rows for SFT, as they come: of the tasks whose known solution passes."""
    from rich.progress import track

    from tritonrl_core.preset import load_preset
    from tritonrl_core.tasks.export import solution_row
    from tritonrl_core.train.solutions import judge_of, judged_solutions
    from tritonrl_core.types import Status

    console = stderr()
    ticks = iter(track(range(len(tasks)), "judging", console=console, disable=not console.is_terminal))
    next(ticks, None)

    by_id = {task.id: task for task in tasks}

    def tick(score: Score) -> None:
        if score.verdict.status is Status.PASSED:
            keep(solution_row(by_id[score.task_id], score.candidate, style, preset.verifier.delegation))
        next(ticks, None)

    found = judged_solutions(tasks, session, load_preset(judge) if judge else judge_of(preset), tick)
    for task, score in found.refused:
        story = f"{task.id}: {score.verdict.status} {score.verdict.reason}"
        console.print(f"[yellow]refused[/] {escape(story)}", highlight=False)
    _say([task for task, _ in found.kept])
    console.print(
        f"[dim]{len(found.kept)} of {len(tasks)} tasks with a solution that passed; {len(found.refused)} refused, "
        f"{len(found.unsolved)} without one[/]",
        highlight=False,
    )


def _say(tasks: Sequence[Task]) -> None:
    """What there is, by pattern, to standard error."""
    rows = table("pattern", "tasks", "launches", "traffic saved", "PyTorch / roofline")
    patterns = Counter(task.id.rpartition("_")[0] for task in tasks)
    for pattern, count in sorted(patterns.items()):
        grades = [task.grade for task in tasks if task.id.startswith(f"{pattern}_") and task.grade]
        if not grades:
            rows.add_row(pattern, str(count), "", "", "")
            continue
        saving = sum(grade["saving"] for grade in grades) / len(grades)
        gain = sum(grade["eager_us"] / grade["roofline_us"] for grade in grades) / len(grades)
        launches = sum(grade["launches"] for grade in grades) / len(grades)
        rows.add_row(pattern, str(count), f"{launches:.1f}", f"{saving:.0%}", f"{gain:.1f}")
    stderr().print(rows)
