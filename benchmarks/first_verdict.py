"""Where the seconds of one `tritonrl verify` go, from the shell's prompt to the verdict.

    python benchmarks/first_verdict.py [--device cuda] [--rounds 2] [--every 0.25] [--out DIR]

Runs the command as a user does and samples the stacks of every Python process that it starts, by a signal, so that
nothing is slowed by a profiler: what each of them was doing in which second, and how much CPU it had used by then. The
lines of standard error come with their time. Rounds differ in what the first one left in caches (files, baselines).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tables import Table, save

from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks

HOOK = """import faulthandler, os, signal
_file = open(os.path.join({folder!r}, f"{{os.getpid()}}.stacks"), "a")
faulthandler.register(signal.SIGUSR1, file=_file, all_threads=False)
"""
"""What every Python process runs first. A process that is forked from one is not sampled: it has no file of its own."""
TICK = os.sysconf("SC_CLK_TCK")
FRAMES = 3


def command(folder: Path, device: str) -> list[str]:
    """`tritonrl verify` of one golden kernel, whose files it writes."""
    task = next(one for one in builtin_tasks("train") if one.id == "l1_softmax")
    (folder / "reference.py").write_text(task.source)
    (folder / "candidate.py").write_text(next(one.code for one in golden_solutions() if one.task_id == task.id))
    tool = shutil.which("tritonrl")
    start = [tool] if tool else [sys.executable, "-m", "tritonrl_core.cli"]
    files = [str(folder / "reference.py"), str(folder / "candidate.py")]
    return [*start, "verify", *files, "--device", device, "--json"]


def round_of(folder: Path, device: str, every_s: float) -> tuple[float, list[tuple[float, str]], dict[str, Any]]:
    """Run it once: seconds, what it said on standard error and when, and the verdict. Stacks are left in `folder`."""
    (folder / "sitecustomize.py").write_text(HOOK.format(folder=str(folder)))
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    began, said = time.perf_counter(), []
    process = subprocess.Popen(
        command(folder, device), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip

    def listen(stream: IO[str]) -> None:
        for line in stream:
            said.append((time.perf_counter() - began, line.strip()))

    assert process.stderr is not None
    threading.Thread(target=listen, args=(process.stderr,), daemon=True).start()
    sampler = threading.Thread(target=sample, args=(folder, process, began, every_s), daemon=True)
    sampler.start()
    out, _ = process.stdout.read() if process.stdout else "", process.wait()
    seconds = time.perf_counter() - began
    sampler.join()
    return seconds, said, json.loads(out)[0]


def sample(folder: Path, process: subprocess.Popen[str], began: float, every_s: float) -> None:
    """Ask each process that has a file for its stack, with the time and the CPU seconds it has used before it."""
    while process.poll() is None:
        for path in folder.glob("*.stacks"):
            with suppress(OSError, IndexError, ValueError):
                pid = int(path.stem)
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                name = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                with path.open("a") as file:
                    used = (int(fields[11]) + int(fields[12])) / TICK
                    file.write(f"@ {time.perf_counter() - began:.2f} {fields[0]} {used:.2f} {name[:200]}\n")
                os.kill(pid, signal.SIGUSR1)
        time.sleep(every_s)


def timeline(folder: Path) -> Iterator[tuple[str, list[tuple[float, float, str]]]]:
    """For each process its name, and by sample: seconds since the start, CPU seconds so far, innermost frames."""
    for path in sorted(folder.glob("*.stacks"), key=lambda one: int(one.stem)):
        name, rows = "", []
        for part in path.read_text(errors="replace").split("@ ")[1:]:
            head, *stack = part.splitlines()
            when, _, used, *words = head.split(" ", 3)
            name = called(words[0] if words else "")
            frames = [f"{Path(f[1]).stem}:{f[2]} {f[3]}" for line in stack
                      if (f := re.match(r'  File "(.*)", line (\d+) in (.*)', line))]  # fmt: skip
            inner = [one for one in frames if not one.startswith(("<frozen", "threading"))] or frames
            rows.append((float(when), float(used), " < ".join(inner[:FRAMES])))
        if rows:
            yield name, rows


def called(arguments: str) -> str:
    """What a process is, from its command line."""
    module = re.search(r"-m (\S+)", arguments)
    return module[1].rpartition(".")[2] if module else Path(arguments.split(" ")[1 if " " in arguments else 0]).name


def show(folder: Path) -> None:
    """Print the timeline, samples in a row that were at the same place as one line."""
    for name, rows in timeline(folder):
        print(f"== {name}: {rows[-1][1]:.2f} s of CPU, seen from {rows[0][0]:.2f} to {rows[-1][0]:.2f} s")
        place, since, used = rows[0][2], rows[0][0], 0.0
        for when, cpu, now in [*rows[1:], (rows[-1][0], rows[-1][1], "")]:
            if now != place:
                print(f"  {since:6.2f}–{when:6.2f} s, {cpu - used:5.2f} s of CPU: {place}")
                place, since, used = now, when, cpu


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu", "auto"), default="cuda")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--every", type=float, default=0.25, help="seconds between samples")
    parser.add_argument("--out", type=Path, help="keep the stacks in this folder")
    chosen = parser.parse_args(arguments)
    rows = []
    for number in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) if chosen.out is None else chosen.out / f"round-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            seconds, said, record = round_of(folder, chosen.device, chosen.every)
            print(f"### round {number}: {seconds:.2f} s, {record['status']}, speedup {record['speedup']}")
            for when, line in said:
                print(f"  {when:6.2f} s: {line[:200]}")
            show(folder)
            described = next((when for when, line in said if line.startswith("preset ")), None)
            rows.append([number + 1, described, seconds, record["status"], record["speedup"]])
    columns = ["round", "seconds until the workers are ready", "seconds in all", "verdict", "speedup"]
    save(Table("first-verdict", columns, rows, f"python benchmarks/first_verdict.py --device {chosen.device}"))


if __name__ == "__main__":
    main()
