"""`tritonrl plugins`: what is installed, what is enabled, and who answers what."""

from __future__ import annotations

from typing import Annotated

import typer

from tritonrl_core.cli.output import stdout, table

app = typer.Typer(no_args_is_help=True, help="List plugins and explain who answers which hook.")


@app.command("list")
def list_plugins() -> None:
    """Every installed plugin, and why one could not be loaded."""
    from tritonrl_core.discovery import SHIPPED, installed_plugins, load_problem, pip_hint

    found = installed_plugins()
    rows = table("plugin", "distribution", "version", "summary", "state")
    for name, item in sorted(found.items()):
        problem = load_problem(item)
        rows.add_row(name, item.distribution, item.version, item.summary, f"[red]{problem}[/]" if problem else "[green]loads[/]")
    for name in SHIPPED:
        if name not in found:
            rows.add_row(name, "–", "–", "", pip_hint(name))
    stdout().print(rows)


@app.command("explain")
def explain_plugins(
    preset: Annotated[str, typer.Option(help="Preset name or file.")] = "baseline",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the preset.")
    ] = None,
) -> None:
    """Who answers which hook, in which order, under a preset."""
    from tritonrl_core.preset import load_preset
    from tritonrl_core.session import Session

    console = stdout()
    explained = Session.open(load_preset(preset, overrides or [])).explain()
    print(explained)
