"""All figures that docs/benchmarks.md shows, piece by piece, into its tables: `make bench-gpu`.

    python benchmarks/bench_gpu.py                      # the pieces that have no result yet, then the tables
    python benchmarks/bench_gpu.py --list               # what there is: minutes, GPUs, cores, tables
    python benchmarks/bench_gpu.py --pieces throughput,mutants --again
    python benchmarks/bench_gpu.py --minutes 10         # no piece is begun that might end later; call again to go on
    python benchmarks/bench_gpu.py --lanes 2            # side by side, each lane with a GPU and its share of the cores
    python benchmarks/bench_gpu.py --share 0.3          # less of each (runs, groups, seconds); the page stays as it is
    python benchmarks/bench_gpu.py --dry                # measure nothing: do commands read and tables render?

`pieces.py` has the list. A piece leaves its result in build/benchmarks; one that fails, or has not come to its end, is
told and goes on with the next call. Several calls at a time share the pieces among them.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pieces import PIECES, Piece
from tables import KEPT, PAGE, RESULTS, ROOT, has_place, keep, load, write_all

from tritonrl_core.bench.resolve import visible_gpus

HERE = Path(__file__).resolve().parent
DONE = RESULTS / "done"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", default="", help="those whose names begin so, by commas")
    parser.add_argument("--again", action="store_true", help="also those that are done")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--lanes", type=int, default=1, help="pieces side by side")
    parser.add_argument("--share", type=float, default=1.0, help="how much of each piece is done")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--in-lane", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    ends = time.monotonic() + 60 * chosen.minutes
    starts = tuple(part.strip() for part in chosen.pieces.split(","))
    pieces = [piece for piece in PIECES if piece.name.startswith(starts)]
    if not pieces:
        parser.error(f"no piece is called {chosen.pieces!r}; --list names them")
    if chosen.list:
        print("\n".join(map(described, pieces)))
        return
    if chosen.dry:
        sys.exit(rehearse(pieces))
    if chosen.again and not chosen.in_lane:
        forget(pieces)
    whole = [piece for piece in pieces if is_done(piece)]
    if chosen.lanes > 1:
        side_by_side(chosen.lanes, [*sys.argv[1:], "--in-lane", "--lanes", "1"])
    failed = run_all(pieces, ends, chosen.share)
    if not chosen.in_lane and chosen.share < 1:
        forget(set(pieces) - set(whole))
        print(f"{PAGE.name} is left as it is: a share of a piece is no figure for it ({RESULTS} has the results)")
    elif not chosen.in_lane:
        keep(load(path) for piece in pieces for path in results(piece) if marker(piece).exists())
        for name in write_all():
            print(f"{PAGE.name} has no place for {name}", file=sys.stderr)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def described(piece: Piece) -> str:
    """A piece in a line."""
    where = f"{piece.gpus} GPU, {piece.cores:2} cores" + (", alone" if piece.alone else "")
    state = "done" if is_done(piece) else ""
    return f"{piece.name:30}{piece.minutes:5g} min  {where:24}{state:6}{', '.join(piece.tables)}"


def forget(pieces: Iterable[Piece]) -> None:
    """Have these run anew with the next call; their results stay where they are."""
    for piece in pieces:
        marker(piece).unlink(missing_ok=True)


def marker(piece: Piece) -> Path:
    """What a piece leaves behind when it ended well."""
    return DONE / re.sub(r"\W+", "-", piece.name)


def results(piece: Piece) -> list[Path]:
    """The results of a piece that are there."""
    return [path for name in piece.tables if (path := RESULTS / f"{name}.json").exists()]


def is_done(piece: Piece) -> bool:
    """Whether a piece ended well and its tables are there."""
    return marker(piece).exists() and len(results(piece)) == len(piece.tables)


# -- running -----------------------------------------------------------------------------------------------------------


def run_all(pieces: Sequence[Piece], ends: float, share: float) -> list[str]:
    """Run what is not done, in order, until nothing can be begun any more; the names of those that failed."""
    failed: list[str] = []
    tried: set[str] = set()
    while ready := [piece for piece in pieces if piece.name not in tried and is_open(piece, ends)]:
        piece = ready[0]
        with claimed(piece) as mine:
            tried.add(piece.name)
            if mine and not is_done(piece):
                print(f"{piece.name} …", flush=True)
                if not run(piece, share):
                    failed.append(piece.name)
    for piece in pieces:
        if piece.name not in tried and not is_done(piece):
            print(f"{piece.name}: {why_not(piece, ends)}", flush=True)
    return failed


def is_open(piece: Piece, ends: float) -> bool:
    """Whether a piece is to be done and can be begun now."""
    return not is_done(piece) and not why_not(piece, ends)


def why_not(piece: Piece, ends: float) -> str:
    """Why a piece cannot be begun now; "" if it can."""
    if piece.gpus > len(visible_gpus()):
        return f"needs {piece.gpus} GPUs"
    if waits := [one.name for one in PIECES if one.name in piece.after and not is_done(one)]:
        return f"comes after {', '.join(waits)}"
    return "left for the next call" if time.monotonic() + 60 * piece.minutes > ends else ""


@contextlib.contextmanager
def claimed(piece: Piece) -> Iterator[bool]:
    """Have a piece to oneself among several calls; False where another one is at it. Ends with the process."""
    DONE.mkdir(parents=True, exist_ok=True)
    with marker(piece).with_suffix(".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def run(piece: Piece, share: float = 1.0) -> bool:
    """Run a piece; whether it ended well."""
    command = [sys.executable, *shared(piece.command, share).split()]
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=60 * piece.minutes, check=False)
    except subprocess.TimeoutExpired:
        print(f"{piece.name}: more than {piece.minutes:g} minutes", file=sys.stderr)
        return False
    if done.returncode == 0:
        marker(piece).touch()
    return done.returncode == 0


def shared(command: str, share: float) -> str:
    """A piece's command with this share of what it does; counts stay whole."""

    def part(found: re.Match[str]) -> str:
        amount = float(found[1]) * share
        return f"{amount:g}" if "." in found[1] else f"{max(1, round(amount))}"

    return re.sub(r"\{([\d.]+)\}", part, command)


def side_by_side(lanes: int, arguments: Sequence[str]) -> None:
    """This command once in each lane, with a GPU (as far as there are some) and a share of the cores of its own."""
    cores = sorted(os.sched_getaffinity(0))
    running = []
    for number in range(lanes):
        gpus, mine = lane(number, lanes, cores)
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": gpus}
        command = [sys.executable, __file__, *arguments]
        running.append(subprocess.Popen(command, env=environment, preexec_fn=partial(os.sched_setaffinity, 0, mine)))
    for process in running:
        process.wait()


def lane(number: int, lanes: int, cores: Sequence[int]) -> tuple[str, Sequence[int]]:
    """The GPUs and the cores of one lane of several: each GPU and each core belongs to one."""
    limit = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(gpu.index) for gpu in visible_gpus()] if limit is None else limit.split(",")
    each = max(1, len(cores) // lanes)
    return ",".join(names[number::lanes]), cores[number * each :][:each] or cores


# -- without measuring -------------------------------------------------------------------------------------------------


def rehearse(pieces: Sequence[Piece]) -> int:
    """Say of each piece whether its command line reads and its tables render; 1 where one does not."""
    page, wrong = PAGE.read_text(encoding="utf-8"), 0
    for piece in pieces:
        trouble = [unread(shared(piece.command, 1.0)), *(unrendered(name, page) for name in piece.tables)]
        told = "; ".join(filter(None, trouble))
        print(f"{piece.name}: {told or 'reads and renders'}", flush=True)
        wrong += bool(told)
    return int(bool(wrong))


def unread(command: str) -> str:
    """What a benchmark says against a command line, "" if it takes it: it runs up to where it has read it."""

    class Taken(BaseException):
        """The arguments were read."""

    whole = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: Any, **named: Any) -> None:
        whole(parser, *given, **named)
        raise Taken

    path, *arguments = command.split()
    said, before = io.StringIO(), (sys.argv, list(sys.path))
    argparse.ArgumentParser.parse_args = stop  # type: ignore[assignment,method-assign]
    sys.argv, sys.path[:0] = [path, *arguments], [str(HERE)]
    try:
        with contextlib.redirect_stderr(said):
            runpy.run_path(str(ROOT / path), run_name="__main__")
    except Taken:
        return ""
    except SystemExit:
        return f"{path}: {said.getvalue().strip().splitlines()[-1]}"
    finally:
        argparse.ArgumentParser.parse_args = whole  # type: ignore[method-assign]
        sys.argv, sys.path[:] = before
    return f"{path} reads no arguments"


def unrendered(name: str, page: str) -> str:
    """Why a table cannot stand on the page, "" if it can: it has its place, and results of its name make a table."""
    if not has_place(name, page):
        return f"{PAGE.name} has no place for {name}"
    for path in (folder / f"{name}.json" for folder in (RESULTS, KEPT)):
        try:
            made = load(path).markdown if path.exists() else "not measured yet"
        except (ValueError, KeyError, TypeError) as error:
            return f"{path} makes no table: {type(error).__name__}: {error}"
        if not made:
            return f"{path} makes an empty table"
    return ""


if __name__ == "__main__":
    main()
