"""`tritonrl tasks`: look at what there is to write kernels for."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tritonrl_core.cli.generate import generate_tasks as generate_command
from tritonrl_core.cli.output import stderr, stdout, table
from tritonrl_core.errors import UsageError

if TYPE_CHECKING:
    from tritonrl_core.types import Task

app = typer.Typer(no_args_is_help=True, help="List, show, check and generate tasks.")

Source = Annotated[
    str | None, typer.Argument(help="A folder or file of KernelBench-form tasks.", show_default="the built-in suite")
]
PresetName = Annotated[str | None, typer.Option(help="Tasks of this preset instead.")]
Split = Annotated[str, typer.Option(help="train, held_out or all.")]


class Device(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"


def find_tasks(source: str | None, preset: str | None, split: str) -> list[Task]:
    """Tasks of a path, of a preset (as they are given, unfit ones too), or of the built-in suite.

    Raises `TaskError`, `PresetError`, `UsageError`.
    """
    if source is not None:
        from tritonrl_core.tasks.loaders import load_tasks

        return load_tasks(source)
    if preset is None:
        from tritonrl_core.tasks.suite import builtin_tasks

        return builtin_tasks(split)
    from tritonrl_core.preset import load_preset
    from tritonrl_core.session import Session

    session = Session.open(load_preset(preset))
    splits = ("train", "held_out") if split == "all" else (split,)
    return [task for part in splits for task in session.generate_tasks(part)]


@app.command("list")
def list_tasks(source: Source = None, preset: PresetName = None, split: Split = "all") -> None:
    """One line a task: level, family, what may vary."""
    tasks = find_tasks(source, preset, split)
    rows = table("task", "level", "family", "may vary", "from")
    for task in tasks:
        rows.add_row(
            task.id,
            str(task.level),
            task.family,
            ", ".join([*task.vary, *task.dtypes]) or "values, layouts",
            task.origin,
        )
    stdout().print(rows)
    stderr().print(f"[dim]{len(tasks)} tasks[/]", highlight=False)


@app.command("show")
def show_task(
    task_id: Annotated[str, typer.Argument(help="A task's id.")],
    source: Source = None,
    preset: PresetName = None,
    prompt: Annotated[bool, typer.Option("--prompt", help="Show what a chat model is asked.")] = False,
    facts: Annotated[bool, typer.Option("--facts", help="Show how much work it is.")] = False,
) -> None:
    """Print a task's reference, or the prompt made from it, or how much work it is."""
    from difflib import get_close_matches

    known = {task.id: task for task in find_tasks(source, preset, "all")}
    if task_id not in known:
        near = get_close_matches(task_id, known, n=3)
        raise UsageError(
            f"no task {task_id!r}",
            remedy=f"Did you mean {', '.join(near)}?" if near else "`tritonrl tasks list` shows them.",
        )
    task = known[task_id]
    if prompt:
        from tritonrl_core.tasks.prompts import chat_messages

        for message in chat_messages(task):
            typer.echo(f"[{message['role']}]\n{message['content']}\n")
        return
    if facts:
        from tritonrl_core.tasks.facts import describe, task_facts

        for line in describe(task_facts(task)):
            typer.echo(line)
        return
    typer.echo(task.source)


@app.command("check")
def check_tasks(
    source: Source = None,
    preset: PresetName = None,
    split: Split = "all",
    device: Annotated[Device, typer.Option(help="Where references run.")] = Device.CPU,
) -> None:
    """Examine tasks: can a kernel that did the work be told from one that did not? Exit code 1 where not."""
    from tritonrl_core.bench.resolve import visible_gpus
    from tritonrl_core.tasks.fitness import examine
    from tritonrl_core.tasks.loaders import load_what_can_be

    if device is Device.CUDA and not visible_gpus():
        raise UsageError("the NVIDIA driver shows no GPU", remedy="Use --device cpu, or check `nvidia-smi`.")
    tasks, broken = load_what_can_be(source) if source is not None else (find_tasks(None, preset, split), [])
    for error in broken:
        stdout().print(f"[red]broken[/] {escape(str(error))}", highlight=False)
    unfit = skipped = 0
    for task in tasks:
        found = examine(task, device.value)
        unfit += not found.fit
        skipped += any(note.startswith("not examined") for note in found.notes)
        if not found.fit:
            stdout().print(f"[red]unfit[/]  {escape(f'{task.id}: {found.reason}')}", highlight=False)
        for note in found.notes:
            stdout().print(f"[dim]note[/]   {escape(f'{task.id}: {note}')}", highlight=False)
    fit = f"{len(tasks) - unfit - skipped} fit, {unfit} unfit, {len(broken)} broken"
    stderr().print(f"[dim]{fit}{f', {skipped} not examined' if skipped else ''}[/]", highlight=False)
    if unfit or broken:
        raise typer.Exit(1)


app.command("generate")(generate_command)
