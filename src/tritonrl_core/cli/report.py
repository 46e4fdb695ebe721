"""`tritonrl report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tritonrl_core.cli.output import stderr


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run or an evaluation.")],
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="RUN/report.html")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write one self-contained page: what a run learned, what it rejected and why, and every kernel to browse."""
    from tritonrl_core.report.page import write_report

    place = write_report(run, out)
    stderr().print(f"{place.stat().st_size / 1e6:.1f} MB, loads nothing from the network", style="dim", highlight=False)
    typer.echo(place)
    if show:
        typer.launch(place.resolve().as_uri())
