"""An append-only file of JSON lines that survives a kill at any moment. It knows nothing of what the lines say, but for
the marker that what came after a checkpoint is superseded.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tritonrl_core.errors import UsageError
from tritonrl_core.runs.rows import plain


class Journal:
    """An append-only file of JSON lines that survives a kill at any moment.

    Several processes of one machine may append to one file (each line is one O_APPEND write); only one may `repair`.
    """

    def __init__(self, path: Path, *, repair: bool = True) -> None:
        self.path = path
        if repair and path.exists():
            take_away_torn_line(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def claim(self) -> bool:
        """Keep other processes from claiming this file as long as it is open here; False where one has.

        The system lets go of it however a process ends. True as well on a disk that knows no locks.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one line, whole or not at all. Raises `OSError` where it does not fit on the disk."""
        line = json.dumps(plain(row), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        written = os.write(self._file, line)
        try:
            while written < len(line):  # the disk is full: the next attempt says so
                written += os.write(self._file, line[written:])
        except OSError as error:
            self._take_back(written)
            raise OSError(error.errno, error.strerror, str(self.path)) from None

    def _take_back(self, count: int) -> None:
        """Cut the last bytes that were written here, unless another process has appended since."""
        end = os.lseek(self._file, 0, os.SEEK_CUR)
        if end == os.fstat(self._file).st_size:
            os.ftruncate(self._file, end - count)

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Sync and close. Safe to call twice."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a journal, without those that a later marker superseded (`step` past the marker's `after_step`).

    A torn last line is passed over. Raises `UsageError` for a malformed line anywhere else.
    """
    rows: list[dict[str, Any]] = []
    for row in all_rows(path):
        if "superseded_after" in row:
            limit, stage = row["superseded_after"], row.get("stage")
            rows = [kept for kept in rows if kept.get("stage") != stage or kept.get("step", -1) <= limit]
        else:
            rows.append(row)
    yield from rows


def all_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row ever written, markers too."""
    if not path.exists():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                return
            raise UsageError(
                f"{path}:{number}: not a JSON line: {error}", remedy="Take this line out; all others are whole."
            ) from error
        yield row


def take_away_torn_line(path: Path) -> None:
    """Cut what follows the last newline: a line that a kill tore."""
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)
