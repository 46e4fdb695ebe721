"""`tritonrl eval`: how good a model is on a suite. What is printed of it, and `eval compare`, are in `results`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonrl_core.cli.options import Overrides, PresetOrStrictest, refuse_beside_resume
from tritonrl_core.cli.output import stderr
from tritonrl_core.cli.results import AsForm, Form, about, compare, show

if TYPE_CHECKING:
    from tritonrl_core.evaluate import EvalReport
    from tritonrl_core.evaluate.evaluation import Evaluation, Question
    from tritonrl_core.evaluate.sampling import Sampler
    from tritonrl_core.preset import Preset
    from tritonrl_core.train.progress import Progress
    from tritonrl_core.types import Score

app = typer.Typer(help="Judge a model, or completions that you have, on a suite.")
app.command("compare")(compare)


class Criterion(StrEnum):
    DEFAULT = "default"
    KERNELBENCH = "kernelbench"


Model = Annotated[
    str | None,
    typer.Option(
        help="Bundled name, local folder or hub name; or completions to judge: a .jsonl file or a folder of them.",
        show_default="the preset's",
    ),
]
Suite = Annotated[
    str | None, typer.Option(help="Suite, SUITE:SPLIT, or a folder or file of references.", show_default="the preset's")
]
Samples = Annotated[int | None, typer.Option(min=1, help="Completions a task.", show_default="the preset's")]
Length = Annotated[int | None, typer.Option(min=1, help="Length of a completion.", show_default="the preset's")]
AsCriterion = Annotated[
    Criterion, typer.Option(help="kernelbench: KernelBench's comparison, for numbers like published ones.")
]


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    preset: PresetOrStrictest = None,
    model: Model = None,
    suite: Suite = None,
    samples: Samples = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of sampling; 0 is greedy.")] = 1.0,
    max_new_tokens: Length = None,
    criterion: AsCriterion = Criterion.DEFAULT,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="The result's folder.", show_default="runs/eval-<preset>-<time>")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with an evaluation that was interrupted.")] = None,
    form: AsForm = Form.TABLE,
) -> None:
    """Sample a suite and judge it: pass@k, valid, compiled, correct, fast_p and speedup, with 95 % intervals.

    What is judged is kept in a folder (`tritonrl report` reads it too); an interrupted evaluation goes on by --resume.
    """
    if context.invoked_subcommand is not None:
        return
    if resume is not None:
        given = {"--preset": preset, "--model": model, "--suite": suite, "--samples": samples, "--out": out}
        refuse_beside_resume({**given, "--set": overrides}, "what was asked then", "a new evaluation")
        evaluation = _open(resume)
    else:
        chosen, question = _question(preset, overrides or [], model, suite, samples, max_new_tokens, temperature,
                                     criterion.value)  # fmt: skip
        evaluation = _create(chosen, question, out)
    result, where = _run(evaluation)
    _tell(evaluation, result, where, form)


def _open(folder: Path) -> Evaluation:
    from tritonrl_core.evaluate.evaluation import Evaluation

    return Evaluation.open(folder)


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


def _run(evaluation: Evaluation) -> tuple[EvalReport, Mapping[str, str]]:
    """Judge what is not judged yet; the result, and what the bench said of itself."""
    from tritonrl_core.cli.live import LiveProgress
    from tritonrl_core.cli.verify import say_where
    from tritonrl_core.runs import Run
    from tritonrl_core.verifier import Verifier

    run = Run.open(evaluation.folder)
    known = run.known_scores()
    run.close()
    stderr().print(f"folder: {evaluation.folder}", highlight=False, markup=False)
    try:
        with Verifier(evaluation.preset, known=known) as verifier, LiveProgress() as progress:
            where = verifier.bench.describe()
            say_where(where, evaluation.preset.name)
            result = evaluation.run(verifier, partial(_open_policy, evaluation), _Watch(progress))
    except KeyboardInterrupt:
        told = f"interrupted; go on with: tritonrl eval --resume {evaluation.folder}"
        stderr().print(told, highlight=False, markup=False)
        raise
    return result, where


def _open_policy(evaluation: Evaluation) -> Sampler:
    """The model that is asked, on the device that it samples on."""
    from transformers.utils import logging

    from tritonrl_core.models import resolve_model
    from tritonrl_core.train.model import load_policy

    logging.disable_progress_bar()
    weights = evaluation.preset.train.grpo.get("model_init_kwargs", {})
    policy = load_policy(resolve_model(evaluation.question.model), **weights)
    policy.to_device()
    return policy


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


def _tell(evaluation: Evaluation, result: EvalReport, where: Mapping[str, str], form: Form) -> None:
    """Keep the result in its folder as data, Markdown and a page; print it in the form that was asked for."""
    from tritonrl_core.evaluate.tables import result_data, result_markdown
    from tritonrl_core.report.page import write_report

    head = about(evaluation, where)
    (evaluation.folder / "result.json").write_text(json.dumps(result_data(result, head), indent=2) + "\n")
    (evaluation.folder / "result.md").write_text(result_markdown(result, head))
    stderr().print(f"report: {write_report(evaluation.folder)}", highlight=False, markup=False)
    show(result, head, form)
