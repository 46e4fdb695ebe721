"""`tritonrl plugins`: what is installed, what is enabled, who answers what; and the package of a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.text import Text

from tritonrl_core.cli.options import Overrides
from tritonrl_core.cli.output import stdout, table
from tritonrl_core.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="List plugins, explain who answers which hook, write a new one.")


@app.command("list")
def list_plugins() -> None:
    """Every installed plugin, and why one could not be loaded."""
    from tritonrl_core.session.discovery import SHIPPED, installed_plugins, load_problem, pip_hint

    found = installed_plugins()
    rows = table("plugin", "distribution", "version", "summary", "state")
    for name, item in sorted(found.items()):
        problem = load_problem(item)
        state = Text(problem, style="red") if problem else Text("loads", style="green")
        rows.add_row(name, item.distribution, item.version, item.summary, state)
    for name in SHIPPED:
        if name not in found:
            rows.add_row(name, "–", "–", "", pip_hint(name))
    stdout().print(rows)


@app.command("explain")
def explain_plugins(
    preset: Annotated[str, typer.Option(help="Preset name or file.")] = "baseline",
    overrides: Overrides = None,
) -> None:
    """Who answers which hook, in which order, under a preset. Exit code 2 where a plugin of it cannot be used."""
    from tritonrl_core.hookspecs import Kind
    from tritonrl_core.preset import load_preset
    from tritonrl_core.session import explain

    told = explain(load_preset(preset, overrides or []))
    rows = table("hook", "kind", "asked, first to last", "wrapped by", "passed over")
    for hook in told.hooks:
        joint = " + " if hook.kind in (Kind.COLLECT, Kind.NOTIFY) else " → "
        rows.add_row(
            hook.hook,
            hook.kind.value,
            joint.join(who.plugin for who in hook.asked) or "–",
            ", ".join(who.plugin for who in hook.wrappers),
            ", ".join(who.plugin for who in hook.passed_over),
        )
    console = stdout()
    console.print(rows)
    console.print("\nenabled: " + ", ".join(str(who) for who in told.enabled), highlight=False, markup=False)
    if told.idle:
        idle = ", ".join(f"{item.name} ({item.distribution} {item.version})" for item in told.idle)
        console.print(f"installed, not enabled: {idle}", highlight=False, markup=False)
    for problem in told.problems:
        console.print(
            f"[bold red]cannot be used:[/] {escape(problem.message)}\n  {escape(problem.remedy)}", highlight=False
        )
    if told.problems:
        raise typer.Exit(UsageError.exit_code)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name in presets, as in memory_use.")],
    hook: Annotated[
        list[str] | None,
        typer.Option("--hook", metavar="HOOK", help="A hook to implement; needed once, and again for each more."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder to write.", show_default="the distribution's name")
    ] = None,
) -> None:
    """Write a package that installs, is listed and passes its own tests, to be changed from there."""
    from tritonrl_core.scaffold import new_plugin
    from tritonrl_core.session.discovery import SHIPPED, distribution_name, installed_plugins

    folder = out or Path(distribution_name(name))
    files = new_plugin(name, hook or [], folder, taken={*SHIPPED, *installed_plugins()})
    console = stdout()
    for path in files:
        console.print(str(path), highlight=False, markup=False)
    console.print(
        f"\nNext:\n  pip install -e '{folder}[test]'\n  tritonrl plugins list\n  python -m pytest {folder}",
        highlight=False, markup=False,
    )  # fmt: skip
