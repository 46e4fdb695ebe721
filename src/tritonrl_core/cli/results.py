"""What is printed of evaluations: a result in one of three forms, and several side by side (`eval compare`)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonrl_core.cli.output import stderr, stdout, table
from tritonrl_core.errors import UsageError

if TYPE_CHECKING:
    from tritonrl_core.evaluate import EvalReport
    from tritonrl_core.evaluate.evaluation import Evaluation
    from tritonrl_core.types import Score


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


FILE_WIDTH = 400
"""Columns that a table may take where there is no terminal."""

AsForm = Annotated[Form, typer.Option("--format", help="What to print.")]


def compare(
    results: Annotated[list[Path], typer.Argument(help="Folders of evaluations (or runs), the first is the standard.")],
    form: AsForm = Form.TABLE,
) -> None:
    """Two or more results side by side, over the tasks that all answered, with a paired bootstrap.

    A star marks a difference whose 95 % interval leaves out "none".
    """
    from tritonrl_core.evaluate import comparison, tables

    found = comparison.compare({name: _scores(path) for name, path in _names(results).items()})
    header, rows = tables.comparison_rows(found)
    match form:
        case Form.JSON:
            typer.echo(json.dumps(tables.comparison_data(found), indent=2))
        case Form.MARKDOWN:
            typer.echo(tables.markdown_table(header, rows), nl=False)
        case Form.TABLE:
            _show_table(header, rows)
    stderr().print(
        f"{found.tasks} tasks answered by all{f', {found.left_out} left out' if found.left_out else ''}; differences "
        "in points, of the speedup a ratio; * the 95 % interval (paired bootstrap over tasks) leaves out no difference",
        highlight=False,
        style="dim",
    )


def about(evaluation: Evaluation, where: Mapping[str, str]) -> dict[str, str]:
    """What the figures are of: for the head of every form of the result."""
    from tritonrl_core.runs import installed_versions

    question = evaluation.question
    return {
        "model": question.model,
        "suite": question.suite,
        "preset": evaluation.preset.name,
        "criterion": question.criterion,
        "samples a task": str(question.samples),
        "temperature": f"{question.temperature:g}",
        "device": where.get("device", "?"),
        "versions": ", ".join(f"{name} {version}" for name, version in installed_versions().items()),
        "date": time.strftime("%Y-%m-%d"),
    }


def show(result: EvalReport, about: Mapping[str, str], form: Form) -> None:
    """Print a result; `about` is what its figures are of."""
    from tritonrl_core.evaluate import tables

    match form:
        case Form.JSON:
            typer.echo(json.dumps(tables.result_data(result, about), indent=2))
        case Form.MARKDOWN:
            typer.echo(tables.result_markdown(result, about), nl=False)
        case Form.TABLE:
            _show_table(*tables.level_rows(result))
            header, rows = tables.family_rows(result)
            if rows:
                typer.echo()
                _show_table(header, rows)
            for note in tables.notes(result):
                stderr().print(note, style="dim", highlight=False)


def _show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """In a terminal cells fold to fit; in a file no line is folded."""
    console = stdout()
    if not console.is_terminal:
        console.width = FILE_WIDTH
    shown = table(*header)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _names(paths: Sequence[Path]) -> dict[str, Path]:
    """A short name for each folder: its own, or its path where two are called the same."""
    names = [path.resolve().name for path in paths]
    return {name if names.count(name) == 1 else str(path): path for name, path in zip(names, paths, strict=True)}


def _scores(folder: Path) -> list[Score]:
    """The scores of an evaluation's folder. Raises `UsageError` where it holds none."""
    from tritonrl_core.evaluate.evaluation import last_scores
    from tritonrl_core.runs import SCORES_FILE

    scores = last_scores(folder) if (folder / SCORES_FILE).is_file() else []
    if not scores:
        why = "no scores in it" if folder.is_dir() else "no such folder"
        raise UsageError(f"{folder}: {why}", remedy="Name a folder that `tritonrl eval` made.")
    return scores
