"""Training with faults put in on purpose, in stretches that each end by a kill: is anything lost?

    python benchmarks/fault_training.py --out DIR [--stretches 3] [--minutes 8] [--every 60] [--device cuda]

Nano is trained under `all_extensions`. Every `--every` seconds one fault joins what is judged, in turn: a candidate
that hangs the device, one that faults, one that takes most of the memory it may have, and a worker killed in the middle
of its work. At the end of each stretch the whole process group is killed, and the next stretch resumes the run. Then
everything is counted: the score of each completion, the steps, what each fault was judged as, and what became of the
others. Exits 1 where something is missing, there twice, or judged wrongly.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from tables import Table, save

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.runs import Journal, read_journal, read_metrics, read_scores
from tritonrl_core.types import Candidate, Score, Status, Task

HEAD = """import torch
import torch.nn as nn
import triton
import triton.language as tl

@triton.jit
def double_kernel(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    WAIT
    tl.store(PLACE, tl.load(x_ptr + i, mask=i < n).to(tl.float32) * 2.0, mask=i < n)

class ModelNew(nn.Module):
    def __init__(self, *given):
        super().__init__()

    def forward(self, *given):
        x = next(one for one in given if isinstance(one, torch.Tensor)).contiguous()
        out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        MORE
        double_kernel[(triton.cdiv(x.numel(), 256),)](x, out, x.numel(), BLOCK=256)
        return out
"""
PARTS = {
    "hangs": {"WAIT": "while tl.load(o_ptr) != 12345.0:\n        tl.debug_barrier()"},
    "faults": {"PLACE": "o_ptr + i.to(tl.int64) * 100000007"},
    "takes memory": {
        "MORE": "big = torch.empty(BYTES, dtype=torch.int8, device=x.device)\n        "
        "double_kernel[(1,)](x, big.view(torch.float32), 64, BLOCK=256)"
    },
}
EXPECTED = {
    "hangs": {Status.TIMEOUT},
    "faults": {Status.RUNTIME_ERROR},
    # Its memory is there, so what it is judged by is its output: of the first input's shape, and twice its values.
    "takes memory": {Status.WRONG, Status.RUNTIME_ERROR},
}
KILLED = "worker killed"
KINDS = (*PARTS, KILLED)
GREEDY_BYTES = {"cuda": 20 << 30, "cpu": 1 << 30}
KILL_AFTER_S = 0.4


def hostile(kind: str, number: int, device: str) -> Candidate:
    """A candidate of a kind, unlike any before it."""
    code = HEAD
    for name, default in (("WAIT", "pass"), ("PLACE", "o_ptr + i"), ("MORE", "pass")):
        code = code.replace(name, PARTS[kind].get(name, default))
    return Candidate.from_code(code.replace("BYTES", str(GREEDY_BYTES[device])) + f"\n# {kind}, {number}\n")


class Faulty:
    """A verifier that is given one fault at a time beside what the model wrote; notes what became of it."""

    def __init__(self, verifier: Any, journal: Journal, every_s: float, device: str, begun: int) -> None:
        self._verifier, self._journal, self._every, self._device = verifier, journal, every_s, device
        self._kinds = cycle(KINDS[begun % len(KINDS) :] + KINDS[: begun % len(KINDS)])
        self._number = begun
        self._next = time.monotonic() + min(every_s, 15.0)

    def verify_batch(
        self, jobs: Sequence[tuple[Task, Candidate]], on_score: Callable[[int, Score], None] | None = None
    ) -> list[Score]:
        if time.monotonic() < self._next:
            return list(self._verifier.verify_batch(jobs, on_score))
        self._next = time.monotonic() + self._every
        kind, self._number = next(self._kinds), self._number + 1
        place, given, victims = len(jobs) // 2, list(jobs), []
        if kind == KILLED:
            threading.Timer(KILL_AFTER_S, lambda: victims.append(kill_a_worker(self._number))).start()
        else:
            given[place] = jobs[place][0], hostile(kind, self._number, self._device)
        began = time.monotonic()
        scores = list(self._verifier.verify_batch(given, on_score))
        others = [score for index, score in enumerate(scores) if kind == KILLED or index != place]
        self._journal.append({
            "kind": kind, "number": self._number, "seconds": round(time.monotonic() - began, 2), "time": time.time(),
            "status": victims[0] if kind == KILLED and victims else str(scores[place].verdict.status),
            "reason": "" if kind == KILLED else scores[place].verdict.reason[:200],
            "others": len(others), "others_infra": sum(one.verdict.status is Status.INFRA for one in others),
            "infra": [one.verdict.reason[:200] for one in others if one.verdict.status is Status.INFRA][:3],
        })  # fmt: skip
        return scores

    def close(self) -> None:
        self._verifier.close()


def kill_a_worker(number: int) -> str:
    """Kill one of the processes that work for us, a replay worker or a recorder in turn. Its name, "" if none is."""
    running = list(below(os.getpid()))
    replaying = [pid for pid, command in running if "bench.replay.worker" in command]
    parents = [pid for pid, command in running if "tritonrl_core.worker" in command]
    recording = [pid for pid, command in running if "tritonrl_core.worker" in command and parent_of(pid) in parents]
    first, second = (replaying, recording) if number // len(KINDS) % 2 == 0 else (recording, replaying)
    chosen = first or second
    if not chosen:
        return ""
    os.kill(chosen[number % len(chosen)], signal.SIGKILL)
    return "replay worker" if chosen is replaying else "recorder or compiler"


def below(pid: int) -> Iterator[tuple[int, str]]:
    """Processes under `pid`, with their command lines."""
    shown = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [(int(a), int(b), c) for a, b, c in (line.split(None, 2) for line in shown.splitlines() if line.count(" "))]
    children: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for own, parent, command in rows:
        children[parent].append((own, command))
    waiting = list(children[pid])
    while waiting:
        own, command = waiting.pop()
        yield own, command
        waiting += children[own]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def stretch(run: Path, given: argparse.Namespace) -> None:
    """Train until somebody kills us."""
    from tritonrl_core.train.run import train
    from tritonrl_core.verifier import Verifier

    journal = Journal(run.parent / "faults.jsonl")
    begun = sum(1 for _ in read_journal(journal.path))

    def open_scorer(preset: Preset, session: Any, known: Sequence[Score]) -> Faulty:
        return Faulty(Verifier(preset, session, known=known), journal, given.every, given.device, begun)

    settings = [f"verifier.device={given.device}", "train.grpo.max_steps=100000", "train.grpo.save_steps=4",
                "train.grpo.save_total_limit=2", f"verifier.timeout_s={given.timeout:g}"]  # fmt: skip
    preset = load_preset("all_extensions", [*settings, *given.set])
    resumed = (run / "metrics.jsonl").exists()
    train(None if resumed else preset, out=None if resumed else run, resume=run if resumed else None,
          open_scorer=open_scorer)  # fmt: skip


def one_stretch(run: Path, number: int, seconds: float, arguments: Sequence[str]) -> int:
    """A process of its own for so long, then killed with all that it started. Its exit status if it ended before."""
    with (run.parent / f"stretch-{number}.log").open("w") as log:
        command = [sys.executable, __file__, "--stretch", *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            families = [pid for pid, _ in below(process.pid)]
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return 0 if ended(families) else 1


def ended(pids: Sequence[int], within_s: float = 15.0) -> bool:
    """Whether processes that worked for one that was killed go by themselves; those that do not are killed."""
    until = time.monotonic() + within_s
    left = list(pids)
    while left and time.monotonic() < until:
        left = [pid for pid in left if alive(pid)]
        time.sleep(0.2)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return not left


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def problems(run: Path) -> list[str]:
    """What is missing, there twice, or judged wrongly; of the steps that are done and count."""
    found = []
    steps = [row["step"] for row in read_metrics(run) if row["stage"] == "rl"]
    if steps != list(range(1, len(steps) + 1)):
        found.append(f"steps are not 1, 2, … in turn: {steps[:5]} … {steps[-5:]}")
    groups: Counter[str] = Counter(score.group for score in read_scores(run) if score.step < len(steps))
    sizes, count = Counter(groups.values()), len({group.partition("-")[0] for group in groups})
    if len(sizes) > 1:
        found.append(f"groups of another size: {[(g, n) for g, n in groups.items() if n != max(sizes)][:5]}")
    if count != len(steps):
        found.append(f"{len(steps)} steps and scores of {count} generations")
    for fault in read_journal(run.parent / "faults.jsonl"):
        if fault["kind"] in EXPECTED and fault["status"] not in EXPECTED[fault["kind"]]:
            found.append(f"fault {fault['number']} ({fault['kind']}) was judged {fault['status']}: {fault['reason']}")
        if fault["others_infra"]:
            name = f"fault {fault['number']} ({fault['kind']})"
            found.append(f"{name}: {fault['others_infra']} others INFRA {fault['infra']}")
    return found


def table(run: Path, given: argparse.Namespace, ends: Sequence[dict[str, Any]], wrong: Sequence[str]) -> Table:
    """One row a kind of fault, and what was counted below. `ends` are the stretches: minutes, what was left."""
    faults = list(read_journal(run.parent / "faults.jsonl"))
    rows: list[list[str | int | float | None]] = []
    for kind in KINDS:
        mine = [fault for fault in faults if fault["kind"] == kind]
        judged = ", ".join(f"{n} × {name}" for name, n in sorted(Counter(fault["status"] for fault in mine).items()))
        rows.append([kind, len(mine), judged, max((fault["seconds"] for fault in mine), default=None),
                     sum(fault["others"] for fault in mine), sum(fault["others_infra"] for fault in mine)])  # fmt: skip
    steps = sum(1 for row in read_metrics(run) if row["stage"] == "rl")
    scores = [score for score in read_scores(run) if score.step < steps]
    infra = sum(score.verdict.status is Status.INFRA for score in scores)
    minutes = ", ".join(f"{end['minutes']:.1f}" for end in ends)
    notes = [
        f"{len(ends)} stretches of {minutes} minutes, each but the first resumed after a kill, a fault every "
        f"{given.every:g} s once it trains; {steps} steps and {len(scores)} completions that count, each with one "
        f"score, {infra} of them INFRA",
        f"Processes left behind by a kill: {sum(bool(end['left']) for end in ends)} of {len(ends)} times",
        f"Wrong: {'; '.join(wrong) or 'nothing'}",
    ]
    columns = ["fault", "times", "judged as (or killed)", "longest batch with it, s", "others in those batches",
               "of them INFRA"]  # fmt: skip
    name = "fault-training" if given.device == "cuda" else "fault-training-cpu"
    command = f"python benchmarks/fault_training.py --device {given.device} --minutes {given.minutes:.3g}"
    return Table(name, columns, rows, f"{command} --every {given.every:g} --timeout {given.timeout:g} --out DIR", notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stretches", type=int, default=3, help="how many there are to be in all")
    parser.add_argument("--minutes", type=float, default=8.0, help="of one stretch")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between faults")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that a candidate may take")
    parser.add_argument("--set", action="append", default=[], help="as of `tritonrl train`")
    parser.add_argument("--only", type=int, help="this stretch alone (0, 1, …), and the table of what there is")
    parser.add_argument("--stretch", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    run = chosen.out / "run"
    if chosen.stretch:
        stretch(run, chosen)
        return
    chosen.out.mkdir(parents=True, exist_ok=True)
    ends = Journal(chosen.out / "stretches.jsonl")
    for number in range(chosen.stretches) if chosen.only is None else [chosen.only]:
        began = time.monotonic()
        left = one_stretch(run, number, 60 * chosen.minutes, sys.argv[1:])
        ends.append({"number": number, "left": left, "minutes": (time.monotonic() - began) / 60})
        print(f"stretch {number}: {sum(1 for row in read_metrics(run) if row['stage'] == 'rl')} steps", flush=True)
    wrong = problems(run)
    made = table(run, chosen, list(read_journal(ends.path)), wrong)
    save(made)
    print(made.markdown)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
