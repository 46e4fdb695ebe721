"""`tritonrl serve`: the verifier as an HTTP service."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tritonrl_core.cli.options import Overrides, PresetOrStrictest
from tritonrl_core.cli.output import stderr
from tritonrl_core.cli.verify import choose_preset, say_where
from tritonrl_core.errors import UsageError


def serve(
    preset: PresetOrStrictest = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Beyond loopback it takes TRITONRL_TOKEN and a sandbox of tier A or B."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8686,
    store: Annotated[
        Path | None, typer.Option(help="Folder where verdicts are kept.", show_default="runs/serve-<preset>")
    ] = None,
    capacity: Annotated[
        int, typer.Option(min=1, help="Candidates that may wait; more are sent away for a while.")
    ] = 4096,
    accept_references: Annotated[
        bool,
        typer.Option(
            "--accept-references",
            help="Judge clients' own tasks. A reference is code that the service runs: for trusted clients only.",
        ),
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Serve verdicts over HTTP until SIGTERM. The token is read from TRITONRL_TOKEN; /openapi.json has the rest."""
    from tritonrl_core.serve.run import Where
    from tritonrl_core.serve.run import serve as run

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise UsageError(f"the service needs {', '.join(missing)}", remedy="pip install 'tritonrl-core[serve]'")
    chosen = choose_preset(preset, overrides or [])
    where = Where(host, port, os.environ.get("TRITONRL_TOKEN", ""), capacity, accept_references)
    folder = store or Path("runs") / f"serve-{chosen.name}"

    def ready(address: str, bench: dict[str, str]) -> None:
        say_where(bench, chosen.name)
        stderr().print(f"listening on {address}, verdicts kept in {folder}", highlight=False, markup=False)

    run(chosen, where, folder, ready)
