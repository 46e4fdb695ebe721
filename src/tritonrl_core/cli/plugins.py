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
