"""`tritonrl presets`: what is shipped, what a preset resolves to, and whether one of yours is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tritonrl_core.cli.options import Overrides
from tritonrl_core.cli.output import stdout, table

app = typer.Typer(no_args_is_help=True, help="List, show and check presets.")

Name = Annotated[str, typer.Argument(help="A preset's name, or the path of a YAML file.")]


@app.command("list")
def list_presets() -> None:
    """The presets that can be named."""
    from tritonrl_core.preset import available_presets, load_preset

    rows = table("preset", "plugins", "file")
    for name, path in sorted(available_presets().items()):
        preset = load_preset(name)
        near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        rows.add_row(name, ", ".join(plugin for plugin, _ in preset.plugins) or "–", str(near))
    stdout().print(rows)


@app.command("show")
def show_preset(name: Name, overrides: Overrides = None) -> None:
    """Print a preset as it resolves: `extends` followed, overrides applied."""
    from tritonrl_core.preset import load_preset

    typer.echo(load_preset(name, overrides or []).to_yaml(), nl=False)


@app.command("check")
def check_preset(name: Name, overrides: Overrides = None) -> None:
    """Check a preset: every key known, plugin installed, option valid, suite and path there. Exit code 2 where not."""
    from tritonrl_core.preset import load_preset
    from tritonrl_core.session import Session
    from tritonrl_core.tasks.suites import check_suites
    from tritonrl_core.train.config import check_trainer_options

    preset = load_preset(name, overrides or [])
    Session.open(preset)
    check_trainer_options(preset)
    check_suites(preset)
    enabled = ", ".join(name for name, _ in preset.plugins) or "none"
    stdout().print(f"[green]ok[/] {preset.name}, plugins: {enabled}", highlight=False)
