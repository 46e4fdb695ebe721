"""Results of benchmarks as JSON in build/benchmarks, and as tables in docs/benchmarks.md between a pair of marks.

    python benchmarks/tables.py              # write every stored result into the page

A benchmark calls `save(Table(...))` with what it measured; that may happen on another machine than the one that writes
the page, so the result carries its date, machine, versions and command. The page keeps its words: only what stands
between `<!-- NAME -->` and `<!-- end of NAME -->` is replaced. Nothing is measured here.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "build" / "benchmarks"


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
    begin, end = f"<!-- {table.name} -->", f"<!-- end of {table.name} -->"
    text = page.read_text(encoding="utf-8")
    if not has_place(table.name, text):
        sys.exit(f"{page.name} has no place for the table {table.name}: put `{begin}` and `{end}` where it belongs.")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n{table.markdown}\n{end}{after}", encoding="utf-8")


def write_all(folder: Path = RESULTS, page: Path = PAGE) -> list[str]:
    """Write every stored result into the page; the names of those that it has no place for."""
    homeless = []
    for path in sorted(folder.glob("*.json")):
        table = load(path)
        if has_place(table.name, page.read_text(encoding="utf-8")):
            write(table, page)
        else:
            homeless.append(table.name)
    return homeless


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
    homeless = write_all()
    print(f"{len(list(RESULTS.glob('*.json'))) - len(homeless)} tables written")
    if homeless:
        sys.exit(f"{PAGE.name} has no place for {', '.join(homeless)}: put `<!-- NAME -->` and `<!-- end of NAME -->`.")


if __name__ == "__main__":
    main()
