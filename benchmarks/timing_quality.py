"""How good the clock is: `python benchmarks/timing_quality.py run --out DIR`, then `table --out DIR`.

Each of some fresh processes times the same kernels with every method: Triton's `do_bench`; KernelBench's method (3
warm-up runs, then events around each run with the cache cleared before and a wait after, mean of 10 or of 100); the
host's clock around synchronised runs; and ours, `published` and `adaptive`, candidate's side, by the code that the
replay worker runs. Two kernels: `stream` moves data (where its buffers lie matters), `spin` multiplies in registers for
a known number of rounds, so that its work can be made to differ by a known share.

`run` may be called again to add processes; `load` times under the load of a second process. Both write JSON lines.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tables import Table, save

SIZES = {"5 µs": 5.0, "20 µs": 20.0, "100 µs": 100.0, "1000 µs": 1000.0}
DIFFERENCES = {"5 µs": (0.01, 0.02, 0.04, 0.08), "20 µs": (0.005, 0.01, 0.02, 0.04),
               "100 µs": (0.0025, 0.005, 0.01, 0.02), "1000 µs": (0.0025, 0.005, 0.01, 0.02)}  # fmt: skip
METHODS = ("do_bench", "KernelBench, 10", "KernelBench, 100", "wall clock, 100", "events outside", "published",
           "adaptive")  # fmt: skip
"""`events outside` is `adaptive` with its events on the stream around the graph, not in it."""


NAME = "python benchmarks/timing_quality.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("run", "one", "load", "burn", "table"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=240.0, help="start no further process after so long")
    parser.add_argument("--ci", type=float, default=0.005)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    {"run": run, "one": one, "load": load, "burn": burn, "table": table}[chosen.do](chosen)


def run(chosen: argparse.Namespace) -> None:
    """Fresh processes until there are enough; the next one imports while this one measures, and waits for its turn."""
    began = time.perf_counter()
    file = chosen.out / "quality.jsonl"
    done = len(file.read_text().splitlines()) if file.exists() else 0
    waiting: list[subprocess.Popen[bytes]] = []
    while done < chosen.processes and time.perf_counter() - began < chosen.seconds:
        while len(waiting) < min(2, chosen.processes - done):
            waiting.append(_again("one", chosen))
        code = waiting.pop(0).wait()
        done += 1
        print(f"process {done} of {chosen.processes}: exit {code}, {time.perf_counter() - began:.0f} s", flush=True)
    for process in waiting:
        process.wait()
    table(chosen)


def _again(what: str, chosen: argparse.Namespace, **more: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, what, "--out", str(chosen.out), "--ci", str(chosen.ci)]
    return subprocess.Popen(command, **more)


def one(chosen: argparse.Namespace) -> None:
    """All methods in this process; one line of JSON."""
    import torch
    import triton.testing  # before the lock, because it takes seconds

    from tritonrl_core.bench.replay.contestants import events_in_graphs

    with (chosen.out / "turn.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bed = Bed(chosen.ci)
        sizes = calibrated(bed, chosen.out / "sizes.json")
        row: dict[str, Any] = {"device": torch.cuda.get_device_name(0), "torch": torch.__version__,
                               "triton": triton.__version__, "ci": chosen.ci,
                               "events in graphs": events_in_graphs(), "stream": {}, "spin": {}}  # fmt: skip
        for label in SIZES:
            row["stream"][label] = {m: bed.time(m, bed.stream(sizes["stream"][label])) for m in METHODS}
        for label in SIZES:
            row["spin"][label] = {method: _ranking(bed, method, sizes, label) for method in METHODS}
        for name, line in (("quality", row), ("samples", bed.samples)):
            with (chosen.out / f"{name}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")


def _ranking(bed: Bed, method: str, sizes: dict[str, Any], label: str) -> list[Any]:
    """Times of `spin` as it is and with each difference (by `adaptive`; with one by others): [difference, µs, ms]."""
    rounds, differences = sizes["spin"][label], DIFFERENCES[label]
    if method != "adaptive":
        differences = differences[1:2] if method in ("do_bench", "KernelBench, 100", "published") else ()
    rows = []
    for difference in (0.0, *differences):
        more = round(difference * SIZES[label] / sizes["spin_us_per_round"])
        rows.append([difference, *bed.time(method, bed.spin(rounds + more))[:2]])
    return rows


def calibrated(bed: Bed, file: Path) -> dict[str, Any]:
    """Sizes at which the kernels take about as long as wanted; fixed by the first process for all."""
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    low, high = (bed.time("published", bed.spin(rounds))[0] for rounds in (2000, 42000))
    slope = (high - low) / 40000
    base = low - 2000 * slope
    sizes: dict[str, Any] = {"spin_us_per_round": slope, "spin": {}, "stream": {}}
    first, second = (bed.time("published", bed.stream(n))[0] for n in (1 << 22, 1 << 26))
    per = (second - first) / ((1 << 26) - (1 << 22))
    for label, us in SIZES.items():
        sizes["spin"][label] = max(16, round((us - base) / slope))
        sizes["stream"][label] = max(1 << 12, int((us - (first - (1 << 22) * per)) / per) // 4096 * 4096)
    file.write_text(json.dumps(sizes))
    return sizes


class Bed:
    """Kernels to time and the ways to time them. A work is a list of runs of the same kernel on buffers of its own."""

    def __init__(self, ci: float) -> None:
        import timing_kernels
        import torch

        from tritonrl_core.types import TimingProtocol

        self.kernels, self.torch = timing_kernels, torch
        self.samples: list[tuple[str, list[list[float]]]] = []
        cache = torch.cuda.get_device_properties(0).L2_cache_size
        self.flush = torch.empty(2 * cache, dtype=torch.uint8, device="cuda").zero_
        gpu = torch.cuda.get_device_properties(0)
        self.processors = gpu.multi_processor_count
        self.bandwidth = 2e3 * gpu.memory_clock_rate * gpu.memory_bus_width / 8
        self.gpu = str(gpu.uuid)
        self.protocols = {
            "published": TimingProtocol("published", warmup=20, trials=100, trim=0.1),
            "adaptive": TimingProtocol("adaptive", warmup=20, trials=100, trim=0.1, ci=ci),
        }
        self.protocols["events outside"] = self.protocols["adaptive"]
        self.flush()
        torch.cuda.synchronize()

    def stream(self, count: int) -> Work:
        """Moves `count` floats in and out."""
        def lane(number: int) -> tuple[Callable[[], Any], Any]:
            keep = self.torch.empty(1 + number * 67 * 512, dtype=self.torch.uint8, device="cuda")
            x, y = (self.torch.rand(count, device="cuda") for _ in range(2))
            grid = (-(-count // 1024),)
            return lambda _keep=keep: self.kernels.stream[grid](x, y, count, BLOCK=1024), y
        return Work(lane, 8 * count)

    def spin(self, rounds: int) -> Work:
        """`rounds` dependent multiplications in every lane of one program a multiprocessor."""
        def lane(number: int) -> tuple[Callable[[], Any], Any]:
            y = self.torch.empty(self.processors * 128, device="cuda")
            return lambda: self.kernels.spin[(self.processors,)](y, rounds, BLOCK=128), y
        return Work(lane, 4 * 128 * self.processors)

    def time(self, method: str, work: Work) -> list[float]:
        """µs, milliseconds that the device was held, milliseconds of it in runs and flushes, runs."""
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        run, _ = work.lane(0)
        run()
        self.torch.cuda.synchronize()
        begin.record()
        if method in self.protocols:
            us, spent, count = self._ours(method, work)
        else:
            us, spent, count = self._others(method, run), None, 0
        end.record()
        self.torch.cuda.synchronize()
        held = begin.elapsed_time(end)
        return [round(us, 4), round(held if spent is None else spent, 3), round(held, 3), count]

    def _ours(self, method: str, work: Work) -> tuple[float, float, int]:
        from tritonrl_core.bench.replay.stopwatch import Contestant, DeviceClock, race
        from tritonrl_core.bench.timing.speed import trimmed_mean

        protocol = self.protocols[method]
        lanes = self.lanes(work, events_inside=method != "events outside")
        entrant = Contestant("candidate", lanes, protocol.trials)
        track = race([entrant], protocol, DeviceClock(self.flush))["candidate"]
        self.samples.append((method, [[round(us, 3) for us in one] for one in track.lanes]))
        return trimmed_mean(track.samples, protocol.trim), track.spent_us / 1e3, track.count

    def lanes(self, work: Work, *, events_inside: bool = True) -> list[Any]:
        """The work captured at three places, as often at each as the replay worker would; before each run its output is
        overwritten and the cache flushed."""
        from tritonrl_core.bench.replay.contestants import captures
        from tritonrl_core.bench.replay.stopwatch import Lane

        lanes = []
        for number in range(3):
            run, out = work.lane(number)

            def prepare(out: Any = out) -> None:
                out.fill_(-1.0)
                self.flush()

            if events_inside:
                run()
                floor_us = work.nbytes / self.bandwidth * 1e6
                made = captures(prepare, run, floor_us, self.protocols["adaptive"], again=number > 0)
                assert not isinstance(made, str), made
                lanes += made
            else:
                lanes.append(Lane(self._captured(run), self._captured(prepare)))
        return lanes

    def _captured(self, work: Callable[[], Any]) -> Callable[[], Any]:
        work()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            work()
        return lambda _keep=work: graph.replay()  # its tensors must outlive the capture

    def _others(self, method: str, run: Callable[[], Any]) -> float:
        from triton.testing import do_bench

        name, _, trials = method.partition(", ")
        if name == "do_bench":
            return float(do_bench(run)) * 1e3
        if name == "KernelBench":
            return self._kernelbench(run, int(trials))
        for _ in range(3):
            run()
        self.torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(int(trials)):
            run()
            self.torch.cuda.synchronize()
        return (time.perf_counter() - began) / int(trials) * 1e6

    def _kernelbench(self, run: Callable[[], Any], trials: int) -> float:
        for _ in range(3):
            run()
        self.torch.cuda.synchronize()
        times = []
        for _ in range(trials):
            begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.flush()
            begin.record()
            run()
            end.record()
            self.torch.cuda.synchronize()
            times.append(begin.elapsed_time(end) * 1e3)
        return statistics.fmean(times)


class Work:
    """The same kernel on as many sets of buffers as asked for."""

    def __init__(self, make: Callable[[int], tuple[Callable[[], Any], Any]], nbytes: int) -> None:
        """`nbytes` is what the kernel moves at least."""
        self.lane, self.nbytes = make, nbytes


def burn(chosen: argparse.Namespace) -> None:
    """The second process: products of matrices without end, in the pattern that its input names last."""
    import torch

    a = torch.randn(4096, 4096, device="cuda")
    print("ready", flush=True)
    pattern = sys.stdin.readline().strip()
    while pattern:
        if select.select([sys.stdin], [], [], 0)[0]:
            pattern = sys.stdin.readline().strip()
        for _ in range(20 if pattern == "all the time" else 2):
            a = torch.tanh(a @ a)
        torch.cuda.synchronize()
        if pattern == "now and then":
            time.sleep(0.02)


def load(chosen: argparse.Namespace) -> None:
    """Adaptive alone and beside another process: how far off, or that it could not measure."""
    other = _again("burn", chosen, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None
    assert other.stdout is not None
    bed = Bed(chosen.ci)
    sizes = calibrated(bed, chosen.out / "sizes.json")
    other.stdout.readline()
    quiet: dict[tuple[str, str], float] = {}
    with (chosen.out / "load.jsonl").open("w") as file:
        for pattern in ("none", "now and then", "all the time"):
            if pattern != "none":
                other.stdin.write(f"{pattern}\n".encode())
                other.stdin.flush()
                time.sleep(0.5)
            for kind, label in itertools.product(("stream", "spin"), SIZES):
                work = getattr(bed, kind)(sizes[kind][label])
                found = [_under_load(bed, work) for _ in range(4)]
                usual = quiet.setdefault((kind, label), statistics.median(row["us"] for row in found))
                for row in found:
                    row |= {"load": pattern, "kernel": kind, "size": label, "off": round(row["us"] / usual - 1, 4)}
                    file.write(json.dumps(row) + "\n")
    other.kill()
    other.wait()
    made = Table("timing-load", [], [], f"{NAME} load --out DIR", text=load_table(chosen.out))
    save(made)
    print(made.markdown, flush=True)


def _under_load(bed: Bed, work: Work) -> dict[str, Any]:
    from tritonrl_core.bench.replay.gpu_state import others_on
    from tritonrl_core.bench.replay.stopwatch import Contestant, DeviceClock, doubt, race
    from tritonrl_core.bench.timing.speed import trimmed_mean

    clock = DeviceClock(bed.flush)
    tracks = race([Contestant("candidate", bed.lanes(work), 100)], bed.protocols["adaptive"], clock)
    found = doubt(tracks, clock, 0.1, others=others_on(bed.gpu))
    us = round(trimmed_mean(tracks["candidate"].samples, 0.1), 3)
    return {"us": us, "runs": tracks["candidate"].count, "foreign": found.foreign, "refused": bool(found.reason)}


def table(chosen: argparse.Namespace) -> None:
    """Keep what the lines in the folder say, as Markdown."""
    rows = [json.loads(line) for line in (chosen.out / "quality.jsonl").read_text().splitlines()]
    made = Table("timing-quality", [], [], f"{NAME} run|table --out DIR", text=quality(rows))
    save(made)
    print(made.markdown)


def quality(rows: Sequence[dict[str, Any]]) -> str:
    """One table of variation for each kind of kernel, one of pairs that were ranked right."""
    head = "| method | " + " | ".join(SIZES) + " |\n| --- |" + " --- |" * len(SIZES)
    lines = [f"{len(rows)} fresh processes, events in graphs: {rows[0]['events in graphs']}."]
    for kind in ("stream", "spin"):
        what = "Mean µs, coefficient of variation between processes, milliseconds of the GPU"
        lines += ["", f"{what}, `{kind}`:", "", head]
        for method in METHODS:
            cells = [_variation([_base(row, kind, label, method) for row in rows]) for label in SIZES]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    what = "Share of pairs, from any two processes, ranked right: `spin`, by how much longer the slower one takes"
    lines += ["", f"{what}:", "", head]
    for method in METHODS:
        lines.append(f"| {method} | " + " | ".join(_ranked(rows, label, method) for label in SIZES) + " |")
    return "\n".join(lines)


def _base(row: dict[str, Any], kind: str, label: str, method: str) -> tuple[float, float]:
    if kind == "stream":
        us, spent, *_ = row[kind][label][method]
        return us, spent
    _, us, spent = row[kind][label][method][0]
    return us, spent


def _variation(found: Sequence[tuple[float, float]]) -> str:
    times = [us for us, _ in found]
    mean = statistics.fmean(times)
    cv = statistics.stdev(times) / mean if len(times) > 1 else float("nan")
    return f"{mean:.2f}, {cv:.2%}, {statistics.fmean(ms for _, ms in found):.1f}"


def _ranked(rows: Sequence[dict[str, Any]], label: str, method: str) -> str:
    """Every measurement of the plain kernel, in any process, against every one of the longer kernel."""
    cells = []
    for difference in DIFFERENCES[label]:
        found = [line for row in rows for line in row["spin"][label][method]]
        plain = [us for share, us, _ in found if share == 0]
        longer = [us for share, us, _ in found if share == difference]
        if longer:
            right = sum(b > a for a in plain for b in longer) / (len(plain) * len(longer))
            cells.append(f"{difference:.2%}: {right:.1%}")
    return ", ".join(cells)


def load_table(out: Path) -> str:
    """Worst deviation by load and kernel, and how many were refused."""
    rows = [json.loads(line) for line in (out / "load.jsonl").read_text().splitlines()]
    lines = ["| load | kernel | worst deviation where not refused | refused | foreign share |", "| --- " * 5 + "|"]
    for pattern in ("none", "now and then", "all the time"):
        for kind in ("stream", "spin"):
            for label in SIZES:
                mine = [r for r in rows if (r["load"], r["kernel"], r["size"]) == (pattern, kind, label)]
                kept = [abs(r["off"]) for r in mine if not r["refused"]]
                worst = f"{max(kept):.1%}" if kept else "–"
                share = statistics.median(r["foreign"] for r in mine) if mine else 0
                refused = f"{len(mine) - len(kept)} of {len(mine)}"
                lines.append(f"| {pattern} | {kind} {label} | {worst} | {refused} | {share:.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
