"""A long run of mixed candidates, a tenth of them hostile: does anything leak, is every verdict the one it gets alone?

    python benchmarks/soak.py [--count 2000] [--device cpu] [--workers 2] [--minutes M] [--preset all_extensions]
                              [--seed 0] [--alone FILE] [--into FILE]
    python benchmarks/soak.py --sum FILE

Every candidate is made unique by a comment, so that none is answered from memory. First each kind is judged alone
(`--alone` keeps these verdicts in a file, for the next piece); then all of them mixed. Before and after, when every
lost worker has been replaced, it is looked at what is in use (`in_use`): memory, descriptors, processes, temporary
files, shared memory, the GPU's memory. Prints one line of JSON; exits 1 where a verdict differs or is missing, or where
something is left. A long soak can be made of pieces, each with its own `--seed` and all with the same `--into`; `--sum`
adds them up. What a piece has is written as it comes: one that is ended from outside counts as far as it got.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import corpus
from in_use import below, in_use, left_over

from tritonrl_core.preset import load_preset
from tritonrl_core.types import Candidate, Score, Status, Task
from tritonrl_core.verifier import Verifier

HOSTILE_KINDS = ("07", "08", "12", "15", "16", "17", "22", "44", "46")
"""Kinds of the corpus that attack the process, its files, its channel or its memory."""

SHARES = {"hanging": 0.007, "gpu hang": 0.003, "fault": 0.004, "hostile": 0.086}
"""Of all candidates; the others are ordinary ones. Of 10,000 thirty hang a GPU and forty break it."""

ENDING_S = 40.0
"""What is kept of a piece's time for its last candidates and for looking at what is left."""

LANES = 2
"""Batches at a time: while the last of one hang, those of the next are judged."""

Sample = tuple[Task, str, str]

KERNEL = """
@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    SPIN
    tl.store(y_ptr + i, tl.maximum(x, 0.0), mask=i < n)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        FIRST
        relu_kernel[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
        return y
"""
HEAD = "import os\nimport time\nimport torch\nimport torch.nn as nn\nimport triton\nimport triton.language as tl\n"
HANGING = {
    "python loop": ("", "while True: pass"),
    "sleep": ("", "time.sleep(3600)"),
    "ignores signals": ("", "import signal; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"),
}
ENDLESS = "while tl.load(y_ptr) != 12345.0:\n        tl.debug_barrier()"
FAULTS = {
    "illegal address": "tl.store(y_ptr + i.to(tl.int64) * 100000007, x)",
    "misaligned": "tl.store((y_ptr.to(tl.pointer_type(tl.uint8), bitcast=True) + 2)"
    ".to(tl.pointer_type(tl.float32), bitcast=True) + i, x, mask=i < n - 1)",
}
GREEDY = {
    "memory": "a = bytearray(64 << 30)",
    "descriptors": "f = [os.memfd_create('left') for _ in range(100_000)]",
    "processes": "[os.fork() for _ in range(20)]",
    "crash": "os.kill(os.getpid(), 11)",
    "recursion": "f = lambda g: g(g); f(f)",
}


def samples(device: str) -> dict[str, Sample]:
    """By name: task, code, and whether it is `ordinary` or one of `SHARES`."""
    found: dict[str, Sample] = {}
    for one in (*corpus.hacks(device), *corpus.twins(), *corpus.honest(device), *corpus.golden()):
        hostile = not one.honest and one.kind.split("_")[0] in HOSTILE_KINDS
        found[one.id] = (one.task, one.code, "hostile" if hostile else "ordinary")
    task = corpus.read(corpus.HACKS / "02_never_launched" / "honest.py", corpus.HACKS / "tasks").task

    def own(name: str, what: str, *, spin: str = "", first: str = "") -> None:
        found[name] = (task, HEAD + KERNEL.replace("SPIN", spin).replace("FIRST", first), what)

    for name, (spin, first) in HANGING.items():
        own(f"hanging/{name}", "hanging", spin=spin, first=first)
    own("hanging/kernel", "gpu hang", spin=ENDLESS)
    for name, spin in FAULTS.items():
        own(f"fault/{name}", "fault", spin=spin)
    for name, first in GREEDY.items():
        own(f"greedy/{name}", "hostile", first=first)
    return found


def mixed(names: Mapping[str, Sequence[str]], count: int, rng: random.Random) -> list[str]:
    """Names in a random order, in the shares that are asked for."""
    numbers = {what: round(count * share) for what, share in SHARES.items()}
    numbers["ordinary"] = count - sum(numbers.values())
    chosen = [rng.choice(names[what]) for what, number in numbers.items() for _ in range(number)]
    rng.shuffle(chosen)
    return chosen


def settled(verifier: Verifier, device: str, workers: int) -> dict[str, Any]:
    """What is in use when every worker is there: one that was lost is replaced by the next job that comes to its place.

    So right kernels are judged, several for each place, until two rounds in a row leave as many processes as there ever
    were; then nothing is done until memory no longer changes, because a new worker takes seconds to get ready.
    """
    kernels = list(itertools.islice(itertools.cycle(corpus.twins()), 3 * workers))
    most, last = 0, -1
    for round_ in range(6):
        mark = f"# settled {time.monotonic_ns()} {round_}"
        verifier.verify_batch(
            [(one.task, Candidate.from_code(f"{one.code}\n{mark} {n}\n")) for n, one in enumerate(kernels)]
        )
        there = len(below(os.getpid()))
        if there == last and there >= most:
            break
        most, last = max(most, there), there
    found = in_use(device)
    for _ in range(15):
        time.sleep(1.0)
        before, found = found, in_use(device)
        if abs(found["memory_mib"] - before["memory_mib"]) <= 8 and found["processes"] == before["processes"]:
            break
    return found


@dataclass
class Tally:
    """What a piece has found so far. Batches add to it from several threads."""

    piece: str
    known: Mapping[str, Sample]
    alone: Mapping[str, str]
    facts: Mapping[str, object]
    asked: int = 0
    verdicts: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    differ: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, batch: Sequence[str], scores: Sequence[Score], told: Mapping[int, int]) -> None:
        """A batch that has been judged: each of its candidates was told of once, if all is well."""
        with self.lock:
            self.asked += len(batch)
            self.seconds = round(time.monotonic() - self.began, 1)
            self.verdicts += sum(count == 1 for count in told.values())
            for name, score in zip(batch, scores, strict=True):
                status, reason = score.verdict.status, score.verdict.reason
                self.statuses[status] += 1
                self.counts["hostile"] += self.known[name][2] != "ordinary"
                self.counts["hanging"] += name.startswith("hanging/")
                self.counts["gpu_hangs"] += status is Status.TIMEOUT and "on the GPU" in reason
                self.counts["gpu_faults"] += "CUDA error" in reason
                if status != self.alone[name]:
                    self.differ.append(f"{name}: {status} ({reason[:120]}) instead of {self.alone[name]}")

    def line(self, **more: object) -> dict[str, Any]:
        """All of it, as it stands in the file."""
        return {
            "piece": self.piece, "asked": self.asked, "verdicts": self.verdicts, "missing": self.asked - self.verdicts,
            "seconds": self.seconds, "statuses": self.statuses, **{name: self.counts[name] for name in COUNTS},
            "differ": self.differ[:20], **self.facts, **more,
        }  # fmt: skip


COUNTS = ("hostile", "hanging", "gpu_hangs", "gpu_faults")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e9, help="how long it may take in all")
    parser.add_argument("--preset", default="all_extensions")
    parser.add_argument("--timeout", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ordinary", type=int, default=1000, help="how many different ordinary candidates")
    parser.add_argument(
        "--alone", type=Path, help="keep the verdicts of candidates alone here, and take those there are"
    )
    parser.add_argument("--into", type=Path, help="append what there is to this file as it comes")
    parser.add_argument("--sum", type=Path, help="print the sum of the pieces in this file instead")
    args = parser.parse_args()
    line = summed(args.sum) if args.sum else soak(args)
    print(json.dumps(line))
    sys.exit(bool(line["differ"] or line["left"] or line["missing"]))


def summed(path: Path) -> dict[str, Any]:
    """All pieces of a soak together, each by the last line that it wrote."""
    pieces = {line["piece"]: line for line in _lines(path)}.values()
    statuses: Counter[str] = Counter()
    for piece in pieces:
        statuses.update(piece["statuses"])
    numbers = ("asked", "verdicts", "missing", "seconds", *COUNTS)
    return {
        "pieces": len(pieces), "ended from outside": sum("left" not in piece for piece in pieces),
        **{name: round(sum(piece[name] for piece in pieces), 1) for name in numbers},
        "statuses": statuses, "differ": [story for piece in pieces for story in piece["differ"]],
        "left": [story for piece in pieces for story in piece.get("left", ())],
    }  # fmt: skip


def soak(args: argparse.Namespace) -> dict[str, Any]:
    """One piece; the line that is printed."""
    until = time.monotonic() + 60 * args.minutes - ENDING_S
    known = samples(args.device)
    rng = random.Random(args.seed)
    ordinary = [name for name, (_, _, what) in known.items() if what == "ordinary"]
    for name in rng.sample(ordinary, max(0, len(ordinary) - args.ordinary)):
        del known[name]
    names: dict[str, list[str]] = {}
    for name, (_, _, what) in known.items():
        names.setdefault(what, []).append(name)
    order = mixed(names, args.count, rng)
    settings = [f"verifier.device={args.device}", f"verifier.cpu_workers={args.workers}",
                f"verifier.timeout_s={args.timeout}"]  # fmt: skip
    with Verifier(load_preset(args.preset, settings)) as verifier:
        alone = _alone(verifier, known, args)
        before = settled(verifier, args.device, args.workers)
        facts = {"before": before, "workers": args.workers, "device": args.device, "preset": args.preset}
        tally = Tally(f"seed {args.seed}, {time.time():.0f}", known, alone, facts)
        _judge_all(verifier, tally, order, until, args)
        after = settled(verifier, args.device, args.workers)
    line = tally.line(after=after, left=left_over(before, after))
    _append(args.into, line)
    return line


def _judge_all(verifier: Verifier, tally: Tally, order: Sequence[str], until: float, args: argparse.Namespace) -> None:
    """Judge batches in some lanes at once, until all are judged or the time is up."""
    size = 6 * args.workers
    starts = iter(range(0, len(order), size))

    def lane() -> None:
        while time.monotonic() < until:
            with tally.lock:
                start = next(starts, None)
            if start is None:
                return
            batch = order[start : start + size]
            told: Counter[int] = Counter()
            jobs = [_unique(tally.known[name], f"{tally.piece} {start + n}") for n, name in enumerate(batch)]
            scores = verifier.verify_batch(jobs, lambda index, _, told=told: told.update([index]))
            tally.add(batch, scores, told)
            with tally.lock:
                _append(args.into, tally.line())

    with ThreadPoolExecutor(LANES) as lanes:
        for running in [lanes.submit(lane) for _ in range(LANES)]:
            running.result()


def _append(path: Path | None, line: object) -> None:
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _unique(sample: Sample, mark: object) -> tuple[Task, Candidate]:
    return sample[0], Candidate.from_code(f"{sample[1]}\n# {mark}\n")


def _alone(verifier: Verifier, known: Mapping[str, Sample], args: argparse.Namespace) -> dict[str, str]:
    """The status of each, judged with nothing hostile beside it: ordinary ones together, the others one by one.

    Those that an earlier piece judged under the same settings are taken from its file.
    """
    kept = {tuple(key): status for key, status in _lines(args.alone)}
    keys = {name: _key(sample, name, args) for name, sample in known.items()}
    left = [name for name in known if keys[name] not in kept]
    ordinary = [name for name in left if known[name][2] == "ordinary"]
    groups: Sequence[list[str]] = [ordinary, *([name] for name in left if known[name][2] != "ordinary")]
    for group in groups:
        scores = verifier.verify_batch([_unique(known[name], "alone") for name in group])
        for name, score in zip(group, scores, strict=True):
            kept[keys[name]] = str(score.verdict.status)
            _append(args.alone, (keys[name], kept[keys[name]]))
    return {name: kept[keys[name]] for name in known}


def _key(sample: Sample, name: str, args: argparse.Namespace) -> tuple[str, ...]:
    content = hashlib.sha256(f"{sample[0].key}\n{sample[1]}".encode()).hexdigest()[:16]
    return name, content, args.preset, args.device, f"{args.timeout:g}"


def _lines(path: Path | None) -> list[Any]:
    """What stands in a file; a line that was cut short is left out."""
    found = []
    for line in path.read_text().splitlines() if path and path.exists() else ():
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


if __name__ == "__main__":
    main()
