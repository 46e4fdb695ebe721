"""What others wrote (reasons, paths, summaries) is printed as they wrote it, whatever it would mean as markup."""

import pytest
from rich.console import Console

from tritonrl_core.cli.output import table

STRANGE = ["[/]", "[/usr/lib] is not there", "[bold]x[/bold]", "output[a, b]"]


@pytest.mark.parametrize("text", STRANGE)
def test_a_cell_and_a_header_mean_what_they_say(text: str) -> None:
    rows = table("name", text)
    rows.add_row("first", text)
    console = Console(width=200)
    with console.capture() as printed:
        console.print(rows)
    assert printed.get().count(text) == 2
