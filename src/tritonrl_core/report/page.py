"""One HTML file with everything in it: figures, scripts, styles, and the candidates in compressed blocks.

Nothing is fetched when it is opened. uPlot (MIT, `assets/uplot/`) draws the plots.
"""

from __future__ import annotations

import html
import json
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import yaml

from tritonrl_core import __version__
from tritonrl_core.report.candidates import Packed, pack_candidates
from tritonrl_core.report.load import RunData, load_run
from tritonrl_core.report.series import held_out_series, metric_series, step_series, time_series
from tritonrl_core.report.summary import (
    best_kernels,
    evaluation_figures,
    families,
    funnel,
    headline,
    reasons,
    time_spent,
)
from tritonrl_core.runs import installed_versions

REPORT_FILE = "report.html"

SCRIPTS = ("unpack.js", "highlight.js", "charts.js", "overview.js", "browser.js", "detail.js", "main.js")
"""In the order they are loaded; each defines functions and runs nothing, but the last."""


def write_report(root: Path, out: Path | None = None) -> Path:
    """Write the report of a run's folder, to `report.html` in it unless said otherwise. Raises `UsageError`."""
    run = load_run(root)
    place = out or root / REPORT_FILE
    place.write_text(page(run, pack_candidates(run)), encoding="utf-8")
    return place


def page(run: RunData, packed: Packed) -> str:
    """The whole page as text."""
    return Template(asset("page.html")).substitute(
        title=html.escape(f"{run.name} · tritonrl"),
        style=asset("uplot/uPlot.min.css") + asset("style.css"),
        digest=_script_data(digest(run, packed)),
        uplot=asset("uplot/uPlot.iife.min.js"),
        script="\n".join(asset(name) for name in SCRIPTS),
        blocks="\n".join(
            f'<script type="text/plain" id="{name}">{data}</script>'
            for name, data in [("rows", packed.rows), *((f"block{n}", data) for n, data in enumerate(packed.blocks))]
        ),
    )


def digest(run: RunData, packed: Packed) -> dict[str, Any]:
    """Every figure of the page as plain data."""
    return {
        "name": run.name,
        "kind": "training" if run.question is None else "evaluation",
        "question": run.question,
        "made": {"by": f"tritonrl {__version__}", "on": time.strftime("%Y-%m-%d %H:%M"), **_judged_on(run)},
        "headline": headline(run),
        "figures": evaluation_figures(run),
        "steps": step_series(run),
        "held_out": held_out_series(run),
        "metrics": metric_series(run),
        "time_steps": time_series(run),
        "time": time_spent(run),
        "funnel": funnel(run.scores),
        "reasons": reasons(run.scores),
        "families": families(run),
        "best": best_kernels(run.scores),
        "preset": {"name": run.preset.get("name", ""), "model": run.preset.get("train", {}).get("model", "")},
        "yaml": yaml.safe_dump(dict(run.preset), sort_keys=False, allow_unicode=True),
        "lock": run.lock,
        "texts": {"kept": packed.kept, "total": packed.total},
    }


def asset(name: str) -> str:
    return (files("tritonrl_core.report") / "assets" / name).read_text(encoding="utf-8")


def _judged_on(run: RunData) -> dict[str, Any]:
    """What the run's own scores say of where they were judged; versions are of the machine that makes the page."""
    timed = next((score.timing for score in run.scores if score.timing), None)
    isolation = next((score.verdict.sandbox for score in run.scores if score.verdict.sandbox != "none"), "none")
    return {
        "device": timed.device if timed else "",
        "clock": timed.clock if timed else "",
        "sandbox": isolation,
        "versions": installed_versions(),
    }


def _script_data(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
