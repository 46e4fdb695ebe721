"""The `tritonrl` command and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from tritonrl_core import __version__
from tritonrl_core.cli import doctor, eval, export, plugins, presets, report, reverify, serve, tasks, train, verify

app = typer.Typer(
    name="tritonrl",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Train language models by reinforcement learning to write Triton GPU kernels, and judge such kernels.\n\n"
        "Start with `tritonrl doctor` (what can this machine do?), then `tritonrl train --preset all_extensions`."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tritonrl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


app.command("train")(train.train)
app.add_typer(eval.app, name="eval")
app.command("verify")(verify.verify)
app.command("report")(report.report)
app.command("reverify")(reverify.reverify)
app.command("export")(export.export)
app.add_typer(tasks.app, name="tasks")
app.add_typer(presets.app, name="presets")
app.add_typer(plugins.app, name="plugins")
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
