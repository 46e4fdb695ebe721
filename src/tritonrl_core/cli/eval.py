"""`tritonrl eval`: how good a model is on a suite; `tritonrl eval compare`: two or more results side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tritonrl_core.cli.output import stderr, stdout, table
from tritonrl_core.errors import UsageError

if TYPE_CHECKING:
    from tritonrl_core.evaluate import EvalReport
    from tritonrl_core.evaluate.evaluation import Evaluation, Question
    from tritonrl_core.preset import Preset
    from tritonrl_core.train.progress import Progress
    from tritonrl_core.types import Score

app = typer.Typer(help="Judge a model, or completions that you have, on a suite.")


class Criterion(StrEnum):
    DEFAULT = "default"
    KERNELBENCH = "kernelbench"


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


FILE_WIDTH = 400
"""Columns that a table may take where there is no terminal."""

AsForm = Annotated[Form, typer.Option("--format", help="What to print.")]


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Preset name or file. [default: all_extensions where its plugins are installed, else baseline]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Bundled name, local folder or hub name; or completions to judge: a .jsonl file or a folder of them. "
            "[default: the preset's]"
        ),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(help="Suite, SUITE:SPLIT, or a folder or file of references. [default: the preset's]"),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Completions a task. [default: the preset's eval.samples]")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of sampling; 0 is greedy.")] = 1.0,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Length of a completion. [default: the preset's]")
    ] = None,
    criterion: Annotated[
        Criterion, typer.Option(help="kernelbench: KernelBench's comparison, for numbers like published ones.")
    ] = Criterion.DEFAULT,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the preset.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The result's folder. [default: runs/eval-<preset>-<time>]")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with an evaluation that was interrupted.")] = None,
    form: AsForm = Form.TABLE,
) -> None:
    """Sample a suite and judge it: pass@k, valid, compiled, correct, fast_p and speedup, with 95 % intervals.

    What is judged is kept in a folder (`tritonrl report` reads it too); an interrupted evaluation goes on by --resume.
    """
    if context.invoked_subcommand is not None:
        return
    from tritonrl_core.evaluate.evaluation import Evaluation

    if resume is not None:
        clash = {"--preset": preset, "--model": model, "--suite": suite, "--samples": samples, "--out": out}
        said = [flag for flag, value in {**clash, "--set": overrides}.items() if value]
        if said:
            raise UsageError(
                f"--resume goes on with what was asked then; {', '.join(said)} cannot be given as well",
                remedy="Start a new evaluation to change something.",
            )
        evaluation = Evaluation.open(resume)
    else:
        chosen, question = _question(preset, overrides or [], model, suite, samples, max_new_tokens, temperature,
                                     criterion.value)  # fmt: skip
        evaluation = _create(chosen, question, out)
    result, about = _run(evaluation)
    _write(evaluation.folder, result, about)
    from tritonrl_core.report.page import write_report

    stderr().print(f"report: {write_report(evaluation.folder)}", highlight=False, markup=False)
    _print(result, about, form)


@app.command("compare")
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


def _question(
    preset: str | None,
    overrides: list[str],
    model: str | None,
    suite: str | None,
    samples: int | None,
    max_new_tokens: int | None,
    temperature: float,
    criterion: str,
) -> tuple[Preset, Question]:
    """What is asked, with the preset's word for what was not said."""
    from tritonrl_core.cli.verify import choose_preset
    from tritonrl_core.evaluate.completions import are_completions
    from tritonrl_core.evaluate.evaluation import Question, for_criterion

    chosen = for_criterion(choose_preset(preset, overrides), criterion)
    if model is not None and not are_completions(model):
        chosen = chosen.model_copy(update={"train": chosen.train.model_copy(update={"model": model})})
    return chosen, Question(
        model=model or chosen.train.model,
        suite=suite or chosen.eval.suite,
        samples=samples or chosen.eval.samples,
        temperature=temperature,
        max_new_tokens=max_new_tokens or int(chosen.train.grpo.get("max_completion_length", 1024)),
        seed=chosen.seed,
        criterion=criterion,
    )


def _create(preset: Preset, question: Question, out: Path | None) -> Evaluation:
    """The folder of a new evaluation; what cannot work is refused before there is one."""
    from tritonrl_core.evaluate.completions import are_completions, read_completions
    from tritonrl_core.evaluate.evaluation import Evaluation
    from tritonrl_core.models import resolve_model
    from tritonrl_core.runs import new_run_folder
    from tritonrl_core.session import Session
    from tritonrl_core.tasks.suites import named_tasks

    lock = Session.open(preset).lock()
    tasks = named_tasks(question.suite, preset.train.model, preset.tasks.size)
    if are_completions(question.model):
        read_completions(question.model, tasks)
    else:
        resolve_model(question.model)
    return Evaluation.create(out or new_run_folder(f"eval-{preset.name}"), preset, question, lock)


def _run(evaluation: Evaluation) -> tuple[EvalReport, dict[str, str]]:
    from tritonrl_core.cli.live import LiveProgress
    from tritonrl_core.cli.verify import say_where
    from tritonrl_core.evaluate.sampling import Sampler
    from tritonrl_core.runs import Run
    from tritonrl_core.verifier import Verifier

    def open_policy() -> Sampler:
        from transformers.utils import logging

        from tritonrl_core.models import resolve_model
        from tritonrl_core.train.model import load_policy

        logging.disable_progress_bar()
        policy = load_policy(
            resolve_model(evaluation.question.model), **evaluation.preset.train.grpo.get("model_init_kwargs", {})
        )
        policy.to_device()
        return policy

    run = Run.open(evaluation.folder)
    known = run.known_scores()
    run.close()
    stderr().print(f"folder: {evaluation.folder}", highlight=False, markup=False)
    try:
        with Verifier(evaluation.preset, known=known) as verifier, LiveProgress() as progress:
            where = verifier.bench.describe()
            say_where(where, evaluation.preset.name)
            result = evaluation.run(verifier, open_policy, _Watch(progress))
    except KeyboardInterrupt:
        stderr().print(f"interrupted; go on with: tritonrl eval --resume {evaluation.folder}", highlight=False)
        raise
    return result, _about(evaluation, where)


class _Watch:
    """Tells the live view how an evaluation goes, and stops one in which nothing can be judged."""

    def __init__(self, progress: Progress) -> None:
        from tritonrl_core.train.faults import FaultLimit

        self._progress = progress
        self._faults = FaultLimit()
        self._right = self._counted = 0
        self.begin, self.say = progress.begin, progress.say

    def scored(self, score: Score, done: int, total: int, seconds: float) -> None:
        from tritonrl_core.train.progress import StepReport

        self._counted += score.reward.correctness is not None
        self._right += score.verdict.correct is True
        self._faults(score)
        self._progress.judged(score)
        self._progress.update(
            StepReport(
                stage="eval",
                step=done,
                total=total,
                correct_rate=self._right / self._counted if self._counted else None,
                seconds_left=seconds / (done - 1) * (total - done) if done > 1 else 0.0,
            )
        )


def _about(evaluation: Evaluation, where: Mapping[str, str]) -> dict[str, str]:
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


def _write(folder: Path, result: EvalReport, about: Mapping[str, str]) -> None:
    from tritonrl_core.evaluate.tables import result_data, result_markdown

    (folder / "result.json").write_text(json.dumps(result_data(result, about), indent=2) + "\n")
    (folder / "result.md").write_text(result_markdown(result, about))


def _print(result: EvalReport, about: Mapping[str, str], form: Form) -> None:
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


def _scores(folder: Path) -> list[Any]:
    """The scores of an evaluation's folder. Raises `UsageError` where it holds none."""
    from tritonrl_core.evaluate.evaluation import last_scores
    from tritonrl_core.runs import SCORES_FILE

    scores = last_scores(folder) if (folder / SCORES_FILE).is_file() else []
    if not scores:
        raise UsageError(f"{folder}: no scores in it", remedy="Name a folder that `tritonrl eval` made.")
    return scores
