"""The figures of an evaluation as rows of text, Markdown and JSON. Draws nothing: the command line does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from tritonrl_core.evaluate.comparison import Comparison
from tritonrl_core.evaluate.figures import Estimate, EvalReport, Slice

RESULT_SCHEMA = 1
SHOWN_FAST = ("fast_1", "fast_2")
SHOWN_K = 8
"""pass@1 to pass@8 are shown all; beyond, the powers of two and the last."""

Rows = tuple[list[str], list[list[str]]]


def shown_figures(figures: Mapping[str, Estimate]) -> list[str]:
    """Which figures a table shows: all but most of fast_p."""
    ks = [int(name.removeprefix("pass@")) for name in figures if name.startswith("pass@")]
    kept = {k for k in ks if k <= SHOWN_K or k & (k - 1) == 0 or k == max(ks)}
    return [
        name
        for name in figures
        if (name.startswith("pass@") and int(name.removeprefix("pass@")) in kept)
        or (not name.startswith(("pass@", "fast_")))
        or name in SHOWN_FAST
    ]


def figure_text(name: str, figure: Estimate) -> str:
    """`36.3 % (30.1–42.6)`, or `1.24× (1.10–1.39)`; a dash where nothing is known."""
    if isnan(figure.value):
        return "–"
    known = not isnan(figure.low)
    if name == "speedup":
        return f"{figure.value:.2f}×" + (f" ({figure.low:.2f}–{figure.high:.2f})" if known else "")
    return f"{100 * figure.value:.1f} %" + (f" ({100 * figure.low:.1f}–{100 * figure.high:.1f})" if known else "")


def gain_text(name: str, gain: Estimate) -> str:
    """`+12.5 (+3.1 to +20.0)` points, or `×1.10 (1.02–1.19)`; a star where the interval leaves "no difference" out."""
    if isnan(gain.value):
        return "–"
    known = not isnan(gain.low)
    if name == "speedup":
        return f"×{gain.value:.2f}" + (f" ({gain.low:.2f}–{gain.high:.2f}){_star(gain, 1.0)}" if known else "")
    points = [100 * value for value in gain]
    return f"{points[0]:+.1f}" + (f" ({points[1]:+.1f} to {points[2]:+.1f}){_star(gain, 0.0)}" if known else "")


def level_rows(report: EvalReport) -> Rows:
    """Header and rows of the main table: a row a figure, a column for all and one for each level."""
    slices = [report.overall, *(report.levels if len(report.levels) > 1 else ())]
    header = ["", *(part.name for part in slices)]
    rows = [["tasks", *(str(part.tasks) for part in slices)], ["samples", *(str(part.samples) for part in slices)]]
    for name in shown_figures(report.overall.figures):
        rows.append([_label(name, report), *(_cell(name, part) for part in slices)])
    return header, rows


def family_rows(report: EvalReport) -> Rows:
    """Header and rows of the table by family, few figures a row; no row where there is one family."""
    names = ["correct", *SHOWN_FAST[:1], "speedup"]
    header = ["family", "tasks", "samples", *(_label(name, report) for name in names)]
    families = report.families if len(report.families) > 1 else ()
    return header, [
        [part.name, str(part.tasks), str(part.samples), *(_cell(name, part) for name in names)] for part in families
    ]


def comparison_rows(comparison: Comparison) -> Rows:
    """Header and rows: a row a figure, a column a side and one for its gain over the first."""
    first, *others = comparison.sides
    header = ["", first.name, *(text for side in others for text in (side.name, "against the first"))]
    rows = [["samples", str(first.samples), *(text for side in others for text in (str(side.samples), ""))]]
    for name in shown_figures(first.figures):
        row = [name, figure_text(name, first.figures[name])]
        for side in others:
            row += [figure_text(name, side.figures[name]), gain_text(name, side.gains[name])]
        rows.append(row)
    return header, rows


def notes(report: EvalReport) -> list[str]:
    """What a reader of the figures must know."""
    found = ["Intervals are 95 %, by bootstrap over tasks. fast_p: correct and at least p times the baseline's speed."]
    if report.estimated:
        found.append("Speeds are estimates (no GPU here), never measurements.")
    if report.unsupported:
        found.append(f"{report.unsupported} UNSUPPORTED (outside what can be recorded) count as not correct.")
    if report.infra:
        found.append(f"{report.infra} INFRA (our fault) are left out; pass@k goes up to the fewest samples of a task.")
    return found


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def result_markdown(report: EvalReport, about: Mapping[str, str]) -> str:
    """The result of an evaluation as a Markdown section; `about` is said first, one line each."""
    said = "".join(f"- {key}: {value}\n" for key, value in about.items())
    statuses = ", ".join(f"{name} {count}" for name, count in report.statuses.items())
    parts = [f"{said}- statuses: {statuses}\n", markdown_table(*level_rows(report))]
    header, rows = family_rows(report)
    if rows:
        parts.append(markdown_table(header, rows))
    return "\n".join([*parts, "".join(f"{note}\n" for note in notes(report))])


def result_data(report: EvalReport, about: Mapping[str, Any]) -> dict[str, Any]:
    """The result as plain data: every figure with its interval, overall, by level and by family."""
    return {
        "schema": RESULT_SCHEMA,
        **about,
        "overall": _slice_data(report.overall),
        "levels": [_slice_data(part) for part in report.levels],
        "families": [_slice_data(part) for part in report.families],
        "statuses": dict(report.statuses),
        "infra": report.infra,
        "unsupported": report.unsupported,
        "speed_estimated": report.estimated,
        "seconds": round(report.seconds, 1),
    }


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    return {
        "schema": RESULT_SCHEMA,
        "tasks": comparison.tasks,
        "left_out": comparison.left_out,
        "sides": [
            {
                "name": side.name,
                "samples": side.samples,
                "figures": {name: estimate_data(figure) for name, figure in side.figures.items()},
                "against_first": {name: estimate_data(figure) for name, figure in side.gains.items()},
            }
            for side in comparison.sides
        ],
    }


def estimate_data(figure: Estimate) -> dict[str, float | None]:
    """JSON has no nan: null stands for it."""
    return {name: None if isnan(value) else round(value, 6) for name, value in figure._asdict().items()}


def _slice_data(part: Slice) -> dict[str, Any]:
    figures = {name: estimate_data(figure) for name, figure in part.figures.items()}
    return {"name": part.name, "tasks": part.tasks, "samples": part.samples, "figures": figures}


def _label(name: str, report: EvalReport) -> str:
    timed = name == "speedup" or name in SHOWN_FAST
    return f"{name} (estimated)" if report.estimated and timed else name


def _cell(name: str, part: Slice) -> str:
    return figure_text(name, part.figures[name]) if name in part.figures else "–"


def _star(gain: Estimate, nothing: float) -> str:
    return " *" if not gain.low <= nothing <= gain.high else ""
