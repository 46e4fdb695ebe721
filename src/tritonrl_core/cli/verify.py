"""`tritonrl verify`: judge kernels that lie in files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from tritonrl_core.cli.options import Overrides, PresetOrStrictest
from tritonrl_core.cli.output import one_screen, status_text, stderr, stdout
from tritonrl_core.errors import InfraError, UsageError
from tritonrl_core.runs import plain
from tritonrl_core.types import Candidate, Score, Status

if TYPE_CHECKING:
    from tritonrl_core.preset import Preset

EXIT_NOT_PASSED = 1
STATUS_WIDTH = 15

SAID = ("device", "target", "speed", "sandbox", "workers")
"""What is said of the bench before it judges."""


def verify(
    reference: Annotated[Path, typer.Argument(help="A KernelBench-form file: Model, get_inputs, get_init_inputs.")],
    candidates: Annotated[list[Path], typer.Argument(help="Files that define ModelNew with Triton kernels.")],
    preset: PresetOrStrictest = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; overrides the preset.")] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list, one object per candidate.")] = False,
) -> None:
    """Judge kernels against a reference.

    Exit code: 0 all passed, 1 some did not, 2 bad usage or a broken reference, 3 a fault of ours.
    """
    from tritonrl_core.tasks.loaders import load_reference

    task = load_reference(reference)
    sources = [read_candidate(path) for path in candidates]
    chosen = choose_preset(preset, [*(overrides or []), *([f"verifier.device={device}"] if device else [])])

    from tritonrl_core.verifier import Verifier, log

    log.addFilter(lambda entry: task.key not in verifier.broken)  # that is raised below, and said once
    with Verifier(chosen) as verifier:
        say_where(verifier.bench.describe(), chosen.name)
        try:
            scores = verifier.verify_batch([(task, Candidate.from_code(source)) for source in sources])
        except KeyboardInterrupt:
            seconds = chosen.verifier.timeout_s
            stderr().print(f"interrupted; what is under way ends first, {seconds:g} s a stage at most", highlight=False)
            raise
    if task.key in verifier.broken:
        raise verifier.broken[task.key]
    if as_json:
        records = [plain(record(path, score)) for path, score in zip(candidates, scores, strict=True)]
        typer.echo(json.dumps(records, indent=2, allow_nan=False))
    else:
        show(candidates, scores)
    raise typer.Exit(exit_code(scores))


def choose_preset(name: str | None, overrides: list[str]) -> Preset:
    """The preset asked for; without one the strictest that this installation has, and say so."""
    from tritonrl_core.preset import load_preset
    from tritonrl_core.session.discovery import missing_plugins

    if name is not None:
        return load_preset(name, overrides)
    strict = load_preset("all_extensions", overrides)
    absent = missing_plugins(strict)
    if not absent:
        return strict
    stderr().print(
        "[yellow]note:[/] judging under `baseline`, on one input case; "
        f"for the full verdict: pip install {' '.join(absent)}"
    )
    return load_preset("baseline", overrides)


def read_candidate(path: Path) -> str:
    """The text of a candidate file. Raises `UsageError` where there is no such text; bad code is not our concern."""
    remedy = "Name a readable Python file that defines `ModelNew`."
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"candidate {path}: no such file", remedy=remedy) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"candidate {path}: not UTF-8 text (byte {error.start})", remedy=remedy) from None
    except OSError as error:
        raise UsageError(f"candidate {path}: cannot be read ({error.strerror})", remedy=remedy) from None


def say_where(description: Mapping[str, str], preset: str) -> None:
    """The first line of every judgement: on what, in which box. `tritonrl doctor` and the report have the rest."""
    of = {**description, "sandbox": description.get("sandbox", "none").partition(":")[0]}
    parts = [f"preset {preset}", *(f"{key} {of[key]}" for key in SAID if key in of)]
    stderr().print("[dim]" + " · ".join(parts) + "[/]", highlight=False)


def record(path: Path, score: Score) -> dict[str, Any]:
    """One candidate as the object that `verify --json` promises; what JSON has no number for is text there (`inf`)."""
    verdict, timing = score.verdict, score.timing
    return {
        "task": score.task_id,
        "candidate": str(path),
        "status": verdict.status.value,
        "stage": verdict.stage.value,
        "valid": verdict.valid,
        "compiled": verdict.compiled,
        "correct": verdict.correct,
        "speedup": timing.speedup if timing else None,
        "speedup_low": timing.speedup_low if timing else None,
        "estimated": timing.estimated if timing else None,
        "cases_passed": verdict.cases_passed,
        "cases_total": verdict.cases_total,
        "worst_error": verdict.worst_error,
        "reason": verdict.reason,
        "source": verdict.source,
        "sandbox": verdict.sandbox,
        "unchecked": list(verdict.unchecked),
        "facts": dict(verdict.facts),
    }


def show(paths: list[Path], scores: list[Score]) -> None:
    """For people: a line a candidate, its reason below it, and at the end what this machine could not check."""
    console = stdout()
    width = max(len(str(path)) for path in paths)
    for path, score in zip(paths, scores, strict=True):
        line = status_text(score.verdict.status)
        line.pad_right(STATUS_WIDTH - len(line))
        line.append(f"{path!s:<{width}}  ", style="default not bold")
        line.append(figures_text(score), style="dim not bold")
        console.print(line)
        if score.verdict.reason:
            reason = Padding(Text(one_screen(score.verdict.reason)), (0, 0, 0, STATUS_WIDTH), expand=False)
            console.print(reason, soft_wrap=False)
    unchecked = sorted({item for score in scores for item in score.verdict.unchecked})
    if unchecked:
        stderr().print(f"[dim]not checked on this machine: {'; '.join(unchecked)}[/]", highlight=False)


def figures_text(score: Score) -> str:
    """`full · 5 of 5 cases · 1.52× estimated`."""
    verdict = score.verdict
    parts = [f"stage {verdict.stage.value}"]
    if verdict.cases_total:
        parts.append(f"{verdict.cases_passed} of {verdict.cases_total} cases")
    if score.timing is not None:
        parts.append(speed_text(score))
    return " · ".join(parts)


def speed_text(score: Score) -> str:
    """`1.52×`, with `estimated` wherever it was not measured."""
    if score.timing is None:
        return "–"
    return f"{score.timing.speedup:.2f}×" + (" estimated" if score.timing.estimated else "")


def exit_code(scores: list[Score]) -> int:
    statuses = {score.verdict.status for score in scores}
    if Status.INFRA in statuses:
        return InfraError.exit_code
    return 0 if statuses == {Status.PASSED} else EXIT_NOT_PASSED
