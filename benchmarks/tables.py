"""Results of benchmarks as JSON, and as tables in docs/benchmarks.md between a pair of marks.

    python benchmarks/tables.py                     # write what is kept in benchmarks/results into the page
    python benchmarks/tables.py FOLDER|FILE …       # first keep those that lie there, brought from another machine, say
    python benchmarks/tables.py --check             # does the page show what is kept?

A benchmark calls `save(Table(...))` with what it measured, into build/benchmarks. What is to stand on the page is then
kept in benchmarks/results, with its date, machine, versions and command. The page keeps its words: only what stands
between `<!-- NAME -->` and `<!-- end of NAME -->` is replaced. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pieces import PIECES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "build" / "benchmarks"
"""What was measured on this machine, the last of each name."""
KEPT = ROOT / "benchmarks" / "results"
"""What the page shows."""


@dataclass(frozen=True)
class Machine:
    """Where a result was measured. `gpu` and `driver` are "" where there is none."""

    date: str
    gpu: str
    driver: str
    cores: int
    python: str
    torch: str
    triton: str

    @property
    def words(self) -> str:
        where = f"{self.gpu}, driver {self.driver}, {self.cores} cores" if self.gpu else f"no GPU, {self.cores} cores"
        return f"{self.date}, {where}, Python {self.python}, torch {self.torch}, triton {self.triton}"


@dataclass(frozen=True)
class Table:
    """One result. `command` makes it again; `notes` are sentences below the table."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    command: str
    notes: Sequence[str] = ()
    machine: Machine = field(default_factory=lambda: this_machine())
    text: str = ""
    """Markdown in place of columns and rows, where a benchmark prints its tables itself."""

    @property
    def markdown(self) -> str:
        """The table, and below it when, where and how it was made."""
        lines = [_line(self.columns), _line(["---"] * len(self.columns)), *map(_line, self.rows)]
        if self.text:
            lines = [self.text.strip()]
        words = [*self.notes, f"{self.machine.words}: `{self.command}`"]
        return "\n".join(lines) + "\n\n" + "\n".join(word.rstrip(".") + "." for word in words)


def this_machine() -> Machine:
    """What stands in every row's small print; asks the driver for the GPU, loads neither torch nor triton."""
    gpu, _, driver = _ask_driver().partition(", ")
    versions = [metadata.version(name) for name in ("torch", "triton")]
    cores = len(os.sched_getaffinity(0))
    return Machine(datetime.now(UTC).date().isoformat(), gpu, driver, cores, platform.python_version(), *versions)


def save(table: Table, folder: Path = RESULTS) -> Path:
    """Keep a result for the page; an older one of the same name is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.name}.json"
    path.write_text(json.dumps(asdict(table), indent=1), encoding="utf-8")
    return path


def load(path: Path) -> Table:
    """A stored result."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Table(**{**data, "machine": Machine(**data["machine"])})


def write(table: Table, page: Path = PAGE) -> None:
    """Put a table between its marks. Raises `SystemExit` naming the marks where the page has none."""
    fill(table.name, shown(table), page)


def fill(name: str, words: str, page: Path) -> None:
    """Put words between the marks of a table. Raises `SystemExit` as `write` does."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    if not has_place(name, text):
        sys.exit(f"{page.name} has no place for the table {name}: put `{begin}` and `{end}` where it belongs.")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n{words}\n{end}{after}", encoding="utf-8")


def shown(table: Table) -> str:
    """A table as it stands on the page: itself, and the piece of `make bench-gpu` that makes it."""
    piece = made_by(table.name)
    return f"{table.markdown}\nAgain by {piece}." if piece else table.markdown


def made_by(name: str) -> str:
    """The command that makes a table; "" for one that no piece makes."""
    pieces = [one for piece in PIECES if name in piece.tables for one in (piece.name, *piece.after)]
    start = os.path.commonprefix(pieces).rstrip(": ")  # noqa: RUF071 - no paths: what `--pieces` takes
    return f'`make bench-gpu PIECES="{start}"`' if pieces else ""


def found_in(paths: Iterable[Path]) -> Iterator[Table]:
    """The results among these files and in these folders, however deep; other JSON is passed over."""
    for path in paths:
        for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
            try:
                yield load(file)
            except (ValueError, KeyError, TypeError):
                continue


def keep(tables: Iterable[Table], page: Path = PAGE, folder: Path = KEPT) -> list[str]:
    """Keep those results that the page has a place for, unless they are empty or a later one is kept; the names of the
    others."""
    left = []
    for table in tables:
        before = folder / f"{table.name}.json"
        later = before.exists() and load(before).machine.date > table.machine.date
        empty = not table.rows and not table.text
        if empty or later or not has_place(table.name, page.read_text(encoding="utf-8")):
            left.append(table.name)
        else:
            save(table, folder)
    return left


def write_all(folder: Path = KEPT, page: Path = PAGE) -> list[str]:
    """Write every result that is kept into the page; the names of those that it has no place for."""
    text, kept = page.read_text(encoding="utf-8"), list(found_in([folder]))
    for table in kept:
        if has_place(table.name, text):
            write(table, page)
    for name in {name for piece in PIECES for name in piece.tables} - {table.name for table in kept}:
        if has_place(name, text) and is_open(name, text):
            fill(name, f"Not measured yet: {made_by(name)}.", page)
    return [table.name for table in kept if not has_place(table.name, text)]


def differing(folder: Path = KEPT, page: Path = PAGE) -> list[str]:
    """Names of the results that are kept and that the page does not show as they are."""
    text = page.read_text(encoding="utf-8")
    return [table.name for table in found_in([folder])
            if f"<!-- {table.name} -->\n{shown(table)}\n<!-- end of {table.name} -->" not in text]  # fmt: skip


def is_open(name: str, text: str) -> bool:
    """Whether nothing was measured yet of what stands between a table's marks; some were written there by hand."""
    words = text.partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0].strip()
    return not words or words.startswith("Not measured yet")


def has_place(name: str, text: str) -> bool:
    """Whether a page has the two marks of a table, in order."""
    return f"<!-- end of {name} -->" in text.partition(f"<!-- {name} -->")[2]


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_cell(cell).replace("|", "\\|") for cell in cells) + " |"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def _ask_driver() -> str:
    command = ["nvidia-smi", "--id=0", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="*", type=Path, help="results to keep: files, or folders of them")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page shows other things")
    chosen = parser.parse_args()
    if chosen.check:
        names = differing()
        sys.exit(f"{PAGE.name} does not show what is kept of: {', '.join(names)}" if names else 0)
    if missing := [str(path) for path in chosen.results if not path.exists()]:
        parser.error(f"no such file or folder: {', '.join(missing)}")
    left = keep(found_in(chosen.results))
    if left:
        print(f"not kept, because empty, or {PAGE.name} has no place for them or shows later ones: {', '.join(left)}")
    homeless = write_all()
    print(f"{len(list(KEPT.glob('*.json'))) - len(homeless)} tables written")
    if homeless:
        sys.exit(f"{PAGE.name} has no place for {', '.join(homeless)}: put `<!-- NAME -->` and `<!-- end of NAME -->`.")


if __name__ == "__main__":
    main()
