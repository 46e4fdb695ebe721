"""Options that several commands share, as types, and what is said where two of them cannot go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from tritonrl_core.errors import UsageError

PresetOrStrictest = Annotated[
    str | None,
    typer.Option(
        help="Preset name or file.", show_default="all_extensions where its plugins are installed, else baseline"
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the preset.")
]
RunPreset = Annotated[str | None, typer.Option(help="Judge under this preset.", show_default="the run's own")]
RunOverrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the preset; of the run's own verifier.…"),
]


def refuse_beside_resume(given: Mapping[str, object], goes_on_with: str, start: str) -> None:
    """Raise `UsageError` where options are given that what is resumed has decided already."""
    said = [flag for flag, value in given.items() if value]
    if said:
        raise UsageError(
            f"--resume goes on with {goes_on_with}; {', '.join(said)} cannot be given as well",
            remedy=f"Start {start} to change something.",
        )
