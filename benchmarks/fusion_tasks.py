"""Generate fused tasks and say what it cost; run every reference on a device at a size of its own.

    python benchmarks/fusion_tasks.py [--count 1000] [--seed 0] [--run cpu|cuda] [--size small|full]

Without `--run` it only generates. The figures are CPU and wall seconds of a first run (nothing is kept from earlier
ones), the resident set at each quarter of the time, and a digest of the tasks, which is the same wherever it is run.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tables import Table, save


def generate(count, seed, size):
    from tritonrl_core import load_preset
    from tritonrl_core.session import Session

    preset = load_preset("fusion_data_only", [f"seed={seed}", "tasks.suite=none", f"tasks.size={size}"])
    session = Session.open(preset.with_plugins(fusion={"count": count}))
    wall, cpu, samples, done = time.perf_counter(), time.process_time(), [], threading.Event()
    watch = threading.Thread(target=watch_memory, args=(samples, done))
    watch.start()
    # What the plugin gives has been examined at the small size; `session.tasks` would examine full ones too.
    tasks = session.generate_tasks("train")
    done.set()
    watch.join()
    tally = session.plugins["fusion"].plugin.tally
    return tasks, {
        "tasks": len(tasks), "wall_s": round(time.perf_counter() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "rss_mib": [samples[len(samples) * quarter // 4] for quarter in range(4)] + samples[-1:], "tally": str(tally),
        "unfit": dict(tally.reasons.most_common(8)), "patterns": len({task.id.rsplit("_", 1)[0] for task in tasks}),
        "digest": digest(tasks),
    }  # fmt: skip


def watch_memory(samples, done):
    """Resident MiB, every tenth of a second."""
    page = resource.getpagesize()
    while not done.wait(0.1):
        samples.append(int(Path("/proc/self/statm").read_text().split()[1]) * page >> 20)


def digest(tasks):
    """The tasks up to nothing: ids, references, prompts. Grades are computed by the torch that is installed."""
    text = json.dumps([(task.id, task.source, task.prompt) for task in tasks])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run(tasks, device):
    """Run each reference once on `device`, as it is written; what does not run or is not finite, by reason."""
    import torch

    from tritonrl_core.bench.references.reference import Reference
    from tritonrl_core.errors import TritonRLError
    from tritonrl_core.tasks.cases import make_cases
    from tritonrl_core.types import CaseRequest

    wall, failed, largest = time.perf_counter(), Counter(), 0
    for number, task in enumerate(tasks):
        try:
            [case] = make_cases(task, CaseRequest())
            outputs = Reference(task).materialise(case, device).expected()
            if not all(bool(torch.isfinite(output).all()) for output in outputs):
                failed[f"{task.id}: an output is not finite"] += 1
        except TritonRLError as error:
            failed[f"{task.id}: {error.message[:200]}"] += 1
        if device == "cuda" and number % 50 == 0:
            largest = max(largest, torch.cuda.max_memory_allocated())
            print(f"{number}: {time.perf_counter() - wall:.1f} s", flush=True)
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "cpu"
    return {"ran": len(tasks) - len(failed), "of": len(tasks), "failed": dict(failed), "device": name,
            "wall_s": round(time.perf_counter() - wall, 1), "largest_gib": round(largest / 2**30, 1)}  # fmt: skip


def table(figures, chosen):
    """What generating took, a figure a row."""
    memory = figures["rss_mib"]
    rows = [
        ["tasks, of patterns", f"{figures['tasks']:,}, {figures['patterns']}"],
        ["what became of the draws", figures["tally"]],
        ["seconds, and of CPU", f"{figures['wall_s']}, {figures['cpu_s']}"],
        ["resident MiB after a quarter of the time, and at the end", f"{memory[1]}, {memory[-1]}"],
        ["digest of ids, references and prompts", figures["digest"]],
    ]
    command = f"python benchmarks/fusion_tasks.py --count {chosen.count} --seed {chosen.seed}"
    return Table("generated-tasks", ["what", "figure"], rows, command)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", default="small", choices=("small", "full"))
    parser.add_argument("--run", choices=("cpu", "cuda"))
    chosen = parser.parse_args()
    import torch

    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITONRL_CACHE"] = folder
        tasks, figures = generate(chosen.count, chosen.seed, "small")
        figures |= {"torch": torch.__version__, "python": platform.python_version()}
        print(json.dumps({"generated": figures}), flush=True)
        save(table(figures, chosen))
        if chosen.run and chosen.size == "full":
            began = time.perf_counter()
            tasks, _ = generate(chosen.count, chosen.seed, "full")
            print(f"full: {len(tasks)} in {time.perf_counter() - began:.1f} s", flush=True)
        if chosen.run:
            print(json.dumps({"ran": run(tasks, chosen.run)}), flush=True)


if __name__ == "__main__":
    main()
