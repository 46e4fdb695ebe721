"""A long run of mixed candidates, a tenth of them hostile: does anything leak, is every verdict the one it gets alone?

    python benchmarks/soak.py [--count 2000] [--device cpu] [--workers 2] [--minutes M] [--preset all_extensions]
                              [--into FILE]
    python benchmarks/soak.py --sum FILE

Every candidate is made unique by a comment, so that none is answered from memory. First each kind is judged alone;
then all of them mixed. Before and after, when the workers are idle: memory, descriptors and processes of this process
and all below it, temporary files, shared memory, and the GPU's memory. Prints one line of JSON; exits 1 where a verdict
differs or is missing, or where something is left. A long soak can be made of pieces, each with its own `--seed` and all
with the same `--into`; `--sum` adds them up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import corpus

from tritonrl_core.preset import load_preset
from tritonrl_core.types import Candidate, Status, Task
from tritonrl_core.verifier import Verifier

HOSTILE_KINDS = ("07", "08", "12", "15", "16", "17", "22", "44", "46")
"""Kinds of the corpus that attack the process, its files, its channel or its memory."""

HOSTILE_SHARE, HANGING_SHARE = 0.1, 0.01
GROWTH_MIB = 256
"""How much more memory may be in use at the end: caches of references and plans, of bounded size."""

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
    "kernel": ("while tl.load(x_ptr) == tl.load(x_ptr):\n        x += 1.0", ""),
}
GREEDY = {
    "memory": "a = bytearray(64 << 30)",
    "descriptors": "f = [os.memfd_create('left') for _ in range(100_000)]",
    "processes": "[os.fork() for _ in range(20)]",
    "crash": "os.kill(os.getpid(), 11)",
    "recursion": "f = lambda g: g(g); f(f)",
}


def samples(device: str) -> dict[str, tuple[Task, str, str]]:
    """By name: task, code, and whether it is `ordinary`, `hostile` or `hanging`."""
    found: dict[str, tuple[Task, str, str]] = {}
    for one in corpus.everything(device):
        if one.kind != "liger":
            hostile = not one.honest and one.kind.split("_")[0] in HOSTILE_KINDS
            found[one.id] = (one.task, one.code, "hostile" if hostile else "ordinary")
    task = corpus.read(corpus.HACKS / "02_never_launched" / "honest.py", corpus.HACKS / "tasks").task
    for name, (spin, first) in HANGING.items():
        found[f"hanging/{name}"] = (task, HEAD + KERNEL.replace("SPIN", spin).replace("FIRST", first), "hanging")
    for name, first in GREEDY.items():
        found[f"greedy/{name}"] = (task, HEAD + KERNEL.replace("SPIN", "").replace("FIRST", first), "hostile")
    return found


def mixed(names: dict[str, list[str]], count: int, rng: random.Random) -> list[str]:
    """Names in a random order, in the shares that are asked for."""
    hanging, hostile = round(count * HANGING_SHARE), round(count * (HOSTILE_SHARE - HANGING_SHARE))
    numbers = {"hanging": hanging, "hostile": hostile, "ordinary": count - hanging - hostile}
    chosen = [rng.choice(names[what]) for what, number in numbers.items() for _ in range(number)]
    rng.shuffle(chosen)
    return chosen


def in_use(device: str) -> dict[str, float]:
    """Memory (MiB), descriptors, threads and processes of this process and those below it; files; memory of the GPU."""
    below = _below(os.getpid())
    memory = threads = descriptors = 0.0
    for pid in below:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            memory += _field(status, "RssAnon") / 1024
            threads += _field(status, "Threads")
            descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except (OSError, ValueError):
            continue
    folders = [Path(tempfile.gettempdir()), Path("/dev/shm")]
    files = sum(len(list(folder.glob("*"))) for folder in folders if folder.is_dir())
    used = {"memory_mib": round(memory), "descriptors": descriptors, "threads": threads, "processes": len(below),
            "files": files}  # fmt: skip
    return {**used, "gpu_mib": _gpu_mib()} if device == "cuda" else used


def _field(status: str, name: str) -> float:
    return float(next((line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")), "0"))


def _below(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def _gpu_mib() -> float:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def left_over(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """What there is more of than there was, beyond caches of bounded size."""
    room = {"memory_mib": GROWTH_MIB, "gpu_mib": GROWTH_MIB, "descriptors": 4, "threads": 2}
    more = [name for name in after if after[name] > before[name] + room.get(name, 0)]
    return [f"{name}: {before[name]:g} → {after[name]:g}" for name in more]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--preset", default="all_extensions")
    parser.add_argument("--timeout", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ordinary", type=int, default=1000, help="how many different ordinary candidates")
    parser.add_argument("--into", type=Path, help="append the line to this file, too")
    parser.add_argument("--sum", type=Path, help="print the sum of the lines of this file instead")
    args = parser.parse_args()
    line = summed(args.sum) if args.sum else soak(args)
    print(json.dumps(line))
    if args.into:
        with args.into.open("a") as file:
            file.write(json.dumps(line) + "\n")
    sys.exit(bool(line["differ"] or line["left"] or line["missing"]))


def summed(path: Path) -> dict[str, object]:
    """All pieces of a soak together."""
    pieces = [json.loads(line) for line in path.read_text().splitlines()]
    statuses: Counter[str] = Counter()
    for piece in pieces:
        statuses.update(piece["statuses"])
    numbers = ("asked", "verdicts", "missing", "seconds", "hanging", "hostile")
    return {
        "pieces": len(pieces), **{name: round(sum(piece[name] for piece in pieces), 1) for name in numbers},
        "statuses": statuses, "differ": [story for piece in pieces for story in piece["differ"]],
        "left": [story for piece in pieces for story in piece["left"]],
    }  # fmt: skip


def soak(args: argparse.Namespace) -> dict[str, object]:
    """One soak; the line that is printed."""
    known = samples(args.device)
    rng = random.Random(args.seed)
    ordinary = [name for name, (_, _, what) in known.items() if what == "ordinary"]
    for name in rng.sample(ordinary, max(0, len(ordinary) - args.ordinary)):
        del known[name]
    names: dict[str, list[str]] = {}
    for name, (_, _, what) in known.items():
        names.setdefault(what, []).append(name)
    settings = [f"verifier.device={args.device}", f"verifier.cpu_workers={args.workers}",
                f"verifier.timeout_s={args.timeout}"]  # fmt: skip
    until = time.monotonic() + 60 * args.minutes
    with Verifier(load_preset(args.preset, settings)) as verifier:
        alone = _alone(verifier, known)
        before, began = in_use(args.device), time.monotonic()
        statuses: Counter[str] = Counter()
        differ: list[str] = []
        order, done = mixed(names, args.count, rng), 0
        size = 32 * args.workers
        for start in range(0, len(order), size):
            if time.monotonic() > until:
                break
            batch = order[start : start + size]
            told: Counter[int] = Counter()
            jobs = [_unique(known[name], start + number) for number, name in enumerate(batch)]
            scores = verifier.verify_batch(jobs, lambda index, score, told=told: told.update([index]))
            done += sum(count == 1 for count in told.values())
            for name, score in zip(batch, scores, strict=True):
                statuses[score.verdict.status] += 1
                if score.verdict.status not in alone[name]:
                    story = f"{score.verdict.status} ({score.verdict.reason[:120]})"
                    differ.append(f"{name}: {story} instead of {sorted(alone[name])}")
            asked = start + len(batch)
        seconds = time.monotonic() - began
        time.sleep(2.0)
        after = in_use(args.device)
    return {
        "asked": asked, "verdicts": done, "missing": asked - done, "seconds": round(seconds, 1), "statuses": statuses,
        "hanging": sum(name in names["hanging"] for name in order[:asked]),
        "hostile": sum(name in names["hostile"] for name in order[:asked]), "differ": differ[:20],
        "before": before, "after": after, "left": left_over(before, after), "workers": args.workers,
        "device": args.device, "preset": args.preset,
    }  # fmt: skip


def _unique(sample: tuple[Task, str, str], number: int) -> tuple[Task, Candidate]:
    return sample[0], Candidate.from_code(f"{sample[1]}\n# {number}\n")


def _alone(verifier: Verifier, known: dict[str, tuple[Task, str, str]]) -> dict[str, set[Status]]:
    """The status of each kind, judged with nothing hostile beside it: ordinary ones together, the others one by one."""
    found: dict[str, set[Status]] = {}
    ordinary = [name for name, (_, _, what) in known.items() if what == "ordinary"]
    groups: Sequence[list[str]] = [ordinary, *([name] for name in known if name not in ordinary)]
    for group in groups:
        scores = verifier.verify_batch([(known[name][0], Candidate.from_code(known[name][1])) for name in group])
        for name, score in zip(group, scores, strict=True):
            found[name] = {score.verdict.status}
    return found


if __name__ == "__main__":
    main()
