"""How things look in the terminal: two consoles, the colours of the statuses, and the form of an error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tritonrl_core.errors import TritonRLError
from tritonrl_core.types import Status

STATUS_STYLE: Mapping[Status, str] = {
    Status.PASSED: "bold green",
    Status.WRONG: "red",
    Status.RUNTIME_ERROR: "red",
    Status.TIMEOUT: "red",
    Status.BUILD_ERROR: "red",
    Status.REJECTED: "yellow",
    Status.CHEATED: "bold magenta",
    Status.UNSUPPORTED: "cyan",
    Status.INFRA: "bold white on red",
}
"""One meaning each: green right, red wrong, yellow refused by a rule, magenta a cheat, cyan out of reach."""

BAR_STYLE: Mapping[Status, str] = {Status.INFRA: "white"}
"""A bar has no background of its own."""


SCREEN_LINES, SCREEN_WIDTH = 20, 400
"""What one error or reason may take of the terminal."""


def stdout() -> Console:
    """For results."""
    return _wide_in_a_pipe(Console(soft_wrap=True))


def stderr() -> Console:
    """For everything that is said along the way."""
    return _wide_in_a_pipe(Console(stderr=True, soft_wrap=True))


def _wide_in_a_pipe(console: Console) -> Console:
    """Where nobody looks at it there is no width, and a table's cells (paths, names) are not broken."""
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = SCREEN_WIDTH
    return console


def complain(error: TritonRLError) -> None:
    """One error: what and where, then the remedy. One screen at most."""
    console = stderr()
    console.print(f"[bold red]error:[/] {escape(one_screen(error.message))}", highlight=False)
    if error.remedy:
        console.print(f"  {escape(error.remedy)}", highlight=False)


def one_screen(text: str) -> str:
    """A text's first lines, and how many were left out: of a compiler's report the start and the end say most."""
    lines = [line if len(line) <= SCREEN_WIDTH else line[: SCREEN_WIDTH - 1] + "…" for line in text.splitlines()]
    if len(lines) <= SCREEN_LINES:
        return "\n".join(lines)
    tail = SCREEN_LINES // 4
    head = SCREEN_LINES - tail - 1
    return "\n".join([*lines[:head], f"… {len(lines) - head - tail} more lines …", *lines[-tail:]])


def status_text(status: Status) -> Text:
    return Text(status.value, style=STATUS_STYLE[status])


def status_bar(counts: Mapping[Status, int], width: int) -> Text:
    """Statuses as one coloured bar of `width` cells, then each with its count."""
    total = max(sum(counts.values()), 1)
    bar, filled, passed_over = Text(), 0, 0
    known = [status for status in Status if counts.get(status)]
    for status in known:
        passed_over += counts[status]
        cells = round(width * passed_over / total) - filled
        filled += cells
        bar.append("█" * cells, style=BAR_STYLE.get(status, STATUS_STYLE[status]))
    for status in known:
        bar.append("  ").append_text(status_text(status)).append(f" {counts[status]}", style="default not bold")
    return bar


class PlainTable(Table):
    """A table whose cells mean what they say: paths, reasons and summaries are others' words and no markup."""

    def add_row(self, *cells: RenderableType | None, **how: Any) -> None:
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **how)


def table(*columns: str, title: str = "") -> PlainTable:
    """A table in the house form: no box around it, header underlined."""
    result = PlainTable(title=title or None, box=None, header_style="bold", pad_edge=False, title_justify="left")
    for column in columns:
        result.add_column(Text(column), overflow="fold")
    return result


def seconds_text(seconds: float) -> str:
    """`75` → `1:15`, `3800` → `1:03:20`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"
