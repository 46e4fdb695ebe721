"""How often the tolerance refuses a right kernel, and how near it comes: golden solutions beside their references.

    python benchmarks/golden_refusals.py [--device cuda] [--size full] [--runs 200] [--seconds 120] [--processes 8]

Every golden solution runs as it stands, without the bench: on a GPU, or in Triton's interpreter. A run is one case with
fresh inputs and parameters; cases go through every distribution that the task is defined for, its declared sizes and
dtypes, and every layout. Prints a Markdown table by distribution and every refusal; stops early at `--seconds`, and
says how many runs there were.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tables import Table, save

from tritonrl_core.tasks.cases import DEFINED_AT_INFINITY, DISTRIBUTIONS, EPSILON, LAYOUTS
from tritonrl_core.tasks.golden import Golden, golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import InputCase, Task


def cases(task: Task, seed: int) -> Iterator[InputCase]:
    """Cases without end: every distribution that `tasks.cases` would use for the task, in turn."""
    epsilon = bool(EPSILON.search(task.source))
    fit = [name for name in DISTRIBUTIONS if name != "infinities" or task.family in DEFINED_AT_INFINITY]
    fit = [name for name in fit if name != ("constant" if epsilon else "tiny")]
    dtypes = (None, None, None, *task.dtypes)
    number = 0
    while True:
        place = seed + number
        dims = {name: sizes[place % len(sizes)] for name, sizes in sorted(task.vary.items()) if sizes}
        dtype, layout = dtypes[place // 2 % len(dtypes)], LAYOUTS[place // 3 % len(LAYOUTS)]
        distribution = fit[number % len(fit)]
        yield InputCase(distribution, 1000 * seed + number, dims if number % 2 else {}, dtype, distribution, layout)
        number += 1


def run_share(device: str, size: str, runs: int, seconds: float, seed: int, golden: Sequence[Golden]) -> None:
    """Run these solutions in turn, a case each, and write one JSON line a run."""
    import torch

    from tritonrl_core.bench.references.reference import Reference

    until = time.monotonic() + seconds
    tasks = {task.id: task for task in builtin_tasks("all", size)}
    known: dict[str, tuple[Reference, Any, Iterator[InputCase]]] = {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for _ in range(runs):
            for solution in golden:
                if time.monotonic() > until:
                    return
                task = tasks[solution.task_id]
                if task.id not in known:
                    known[task.id] = Reference(task), load(solution, Path(folder)), cases(task, seed)
                reference, build, waiting = known[task.id]
                sys.stdout.write(json.dumps(run(task, reference, build, next(waiting), device)) + "\n")
                sys.stdout.flush()


def run(task: Task, reference: Any, build: Any, case: InputCase, device: str) -> dict[str, Any]:
    """One case: the golden model with the reference's parameters, compared as the bench compares."""
    import torch

    from tritonrl_core.bench.outputs.tolerance import compare
    from tritonrl_core.bench.references.reference import flat_outputs

    materials = reference.materialise(case, device)
    model = build(*materials.init_inputs).to(materials.device)
    if case.dtype:
        model = model.to(getattr(torch, case.dtype))
    model.load_state_dict(materials.state)
    got = flat_outputs(model.train(materials.model.training)(*materials.inputs), task)
    native, exact = materials.expected(), materials.expected("fp64")
    if not native[0].is_floating_point():  # an index is judged by the value that it points to
        x = materials.inputs[0]
        got, exact, native = ([x.gather(1, index[:, None]) for index in side] for side in (got, exact, native))
    compared = compare(got, exact, native, task, case)
    error = compared.error if compared.error is None or compared.error < 1e30 else 1e30
    words = f"{case.distribution} {case.dtype or ''} {case.layout} {dict(case.dims)} seed {case.seed}"
    return {"task": task.id, "distribution": case.distribution, "case": words, "ok": compared.ok, "error": error,
            "reason": compared.reason}  # fmt: skip


def load(golden: Golden, folder: Path) -> Any:
    """The golden `ModelNew`; Triton reads a kernel's source from its file."""
    path = folder / f"{golden.task_id}.py"
    path.write_text(golden.code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(golden.task_id, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} can't be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ModelNew


def in_processes(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All runs, the solutions dealt out to processes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRITON_INTERPRET": "1" if options.device == "cpu" else "0"}
    command = [sys.executable, *sys.argv, "--processes", str(options.processes)]
    with tempfile.TemporaryFile("w+") as errors:
        workers = [
            subprocess.Popen([*command, "--share", str(share)], env=environment, stdout=subprocess.PIPE, stderr=errors,
                             text=True)
            for share in range(options.processes)
        ]  # fmt: skip
        # A pipe holds 64 KiB, so they are read side by side, by way of one thread each.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(workers)) as pool:
            texts = list(pool.map(lambda worker: worker.communicate()[0], workers))
        failed = [worker.returncode for worker in workers if worker.returncode]
        errors.seek(0)
        if failed:
            sys.exit(f"{len(failed)} of {len(workers)} processes failed:\n{errors.read()[-4000:]}")
    return [json.loads(line) for text in texts for line in text.splitlines()]


def table(options: argparse.Namespace, found: Sequence[dict[str, Any]]) -> Table:
    """Runs, refusals and the largest errors by distribution."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        groups[row["distribution"]].append(row)
        groups["all"].append(row)
    order = [name for name in (*DISTRIBUTIONS, "all") if name in groups]
    rows = [
        [
            f"**{name}**" if name == "all" else name,
            len(groups[name]),
            sum(not row["ok"] for row in groups[name]),
            sum((row["error"] or 0) > 0.5 for row in groups[name]),
            max(row["error"] or 0.0 for row in groups[name]),
            max(groups[name], key=lambda row: row["error"] or 0.0)["task"],
        ]
        for name in order
    ]
    per_task = Counter(row["task"] for row in found)
    return Table(
        "-".join(filter(None, ["golden-refusals", options.device, options.size, part(options.only)])),
        ["values", "runs", "refused", "error above half of what is allowed", "largest error / allowed", "of task"],
        rows,
        f"python benchmarks/golden_refusals.py --device {options.device} --size {options.size} --runs {options.runs}"
        + (f" --only {options.only}" if options.only else ""),
        [f"{len(per_task)} right kernels of size {options.size}, {min(per_task.values())} to "
         f"{max(per_task.values())} runs each, fresh inputs every run"],
    )  # fmt: skip


def part(only: str) -> str:
    """What a table of some solutions is called: by its one pattern, or `some`."""
    return "some" if "," in only else only.strip("_")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", default="small", choices=["small", "full"])
    parser.add_argument("--runs", type=int, default=20, help="runs of each solution")
    parser.add_argument("--seconds", type=float, default=1e6, help="end after so long, whatever was reached")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="tasks whose id contains one of these, by commas")
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = options.only.split(",")
    golden = [solution for solution in golden_solutions() if any(part in solution.task_id for part in wanted)]
    if options.share is not None:
        mine = golden[options.share :: options.processes]
        run_share(options.device, options.size, options.runs, options.seconds, options.seed, mine)
        return 0
    found = in_processes(options)
    made = table(options, found)
    save(made)
    print(made.markdown)
    for row in found:
        if not row["ok"]:
            print(f"refused: {row['task']} {row['case']}: error {row['error']:.3g}: {row['reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
