"""Every task of the built-in suite at the size of a GPU, judged with its golden solution: verdict, time and memory.

    python benchmarks/full_size.py --size full|large [--share 0/2] [--only conv,norm] [--seconds 500]
    python benchmarks/full_size.py --table          # build/benchmarks/full-size.jsonl as tables

`full` is the suite's own size (up to half a gigabyte of inputs), `large` the same tasks with more rows, images or
tokens: up to 4 GiB of inputs, or 0.75 GiB where a product, a convolution or attention is computed. One candidate at a
time, by the checks of `multi_input` and `adaptive` timing, on a GPU of its own; nothing is known of any task before.
What is judged is kept as it comes and not judged again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tables import RESULTS, Machine, Table, save, this_machine

from tritonrl_core.bench.large_cases import LARGE
from tritonrl_core.bench.references.prepared import named_inputs
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.errors import InfraError
from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks, operators
from tritonrl_core.tasks.suite.template import Dim, Operator
from tritonrl_core.types import Candidate, CaseRequest, InputCase, Status, Task
from tritonrl_core.verifier import Verifier

ROWS = RESULTS / "full-size.jsonl"
GROWING = ("ROWS", "TOKENS", "BATCH", "M")
"""The constant that grows: the first of these that a task has."""

COMPUTING = ("matmul", "convolution", "attention", "fused_matmul", "fused_images", "fused_attention")
SLOW = ("softmax_columns",)
"""Tasks whose reference PyTorch runs so slowly that its nine runs would take longer than a verdict may (0.3 s each)."""

MOST_IN = {True: 3 << 28, False: 4 << 30}
"""Bytes of inputs of a large task: where much is computed for each byte or the reference is slow, and elsewhere."""

MOST_OUT = 4 << 30
MOST_SECONDS = 3.0
TO_BE_CONTINUED = 3
REQUEST = CaseRequest(count=5, shapes=True, values=True, layouts=True)
SETTINGS = ["verifier.device=cuda", "verifier.timeout_s=60"]


def tasks(size: str) -> Iterator[Task]:
    """The suite at a size, without the tasks that cannot grow."""
    for operator in operators():
        if size == "full":
            yield operator.task("full")
        elif (large := enlarged(operator)) is not None:
            yield large.task("full")


def enlarged(operator: Operator) -> Operator | None:
    """The operator with as many rows as its bytes allow; None where nothing of it grows."""
    name = next((name for name in GROWING if name in operator.full), None)
    if name is None:
        return None
    inputs, outputs = bytes_of(operator.task("full"))
    twice = bytes_of(replace(operator, full={**operator.full, name: times(operator.full[name], 2)}).task("full"))
    more_in, more_out = twice[0] - inputs, twice[1] - outputs
    most = MOST_IN[operator.family in COMPUTING or operator.name in SLOW]
    room = [(most - inputs, more_in), (MOST_OUT - outputs, more_out)]
    factor = int(min((left / more for left, more in room if more), default=0))
    if factor < 1:
        return None
    return replace(operator, full={**operator.full, name: times(operator.full[name], 1 + factor)})


def times(value: Dim, factor: int) -> Dim:
    """A constant, with all that it may be, so many times as large."""
    if isinstance(value, tuple):
        return tuple(part * factor for part in value)
    return value * factor if isinstance(value, int) else f"({value}) * {factor}"


def bytes_of(task: Task) -> tuple[int, int]:
    """Bytes of inputs and of outputs, from shapes alone."""
    materials = Reference(task).materialise(InputCase("as written", seed=0), "meta")
    return (
        sum(tensor.nbytes for tensor in named_inputs(materials.inputs).values()),
        sum(tensor.nbytes for tensor in materials.expected("native")),
    )


def judge(verifier: Verifier, task: Task, code: str) -> dict[str, Any]:
    """One golden solution under the checks and the clock: what came of it, and what each case took."""
    inputs, outputs = bytes_of(task)
    program = verifier.bench.program(task, Candidate.from_code(code))
    began = time.perf_counter()
    found: dict[str, Any] = {"speedup": None, "timing": {}, "problem": ""}
    verdict = verifier.session.check_correctness(task, program)
    checked = time.perf_counter()
    if verdict.status is Status.PASSED:
        try:
            timing = verifier.session.measure_speed(task, program)
            found |= {"speedup": timing.speedup, "notes": list(timing.notes), "timing": dict(timing.facts)}
            if timing.status is not Status.PASSED:
                found["problem"] = f"timing: {timing.status} {timing.reason}"
        except InfraError as error:
            found["problem"] = f"timing: {error.message}"
    ended = time.perf_counter()
    results = [program.run(case) for case in program.cases(REQUEST)] if verdict.status is Status.PASSED else []
    return {
        **found, "status": str(verdict.status), "reason": verdict.reason[:300], "seconds": ended - began,
        "checks_s": checked - began, "timing_s": ended - checked, "input_bytes": inputs, "output_bytes": outputs,
        "cases": [{"name": one.case.name, "seconds": one.seconds, "error": one.error,
                   **{key: one.facts.get(key) for key in ("buffer_bytes", "guard_bytes", "bytes_while_running",
                                                          "bytes_at_most", "stage_seconds", "prepare_seconds")}}
                  for one in results],
    }  # fmt: skip


def run(size: str, share: tuple[int, int], only: Sequence[str], seconds: float, rows: Path) -> bool:
    """Judge what is not in `rows` yet, the largest first; whether all of it is done."""
    known = {(row["size"], row["task"]) for row in read(rows)}
    codes = {golden.task_id: golden.code for golden in golden_solutions()}
    wanted = [task for task in tasks(size) if task.id in codes and (not only or any(part in task.id for part in only))]
    wanted = sorted(wanted, key=lambda task: -sum(bytes_of(task)))[share[0] :: share[1]]
    ends = time.monotonic() + seconds
    rows.parent.mkdir(parents=True, exist_ok=True)
    preset = load_preset("baseline", SETTINGS).with_plugins(multi_input={}, timing={})
    with Verifier(preset) as verifier, rows.open("a", buffering=1) as file:
        warm = builtin_tasks("all", "small")[0]
        verifier.verify(warm, codes[warm.id])
        for task in wanted:
            if (size, task.id) in known:
                continue
            if time.monotonic() > ends:
                print("time is up; call again to go on", flush=True)
                return False
            row = {"size": size, "task": task.id, "family": task.family, **guarded(verifier, task, codes[task.id])}
            print(json.dumps(row), file=file, flush=True)
            told = f"{row.get('seconds', 0):.2f} s {row['reason']} {row['problem']}"
            print(f"{task.id}: {row['status']} {told}", flush=True)
    return True


def guarded(verifier: Verifier, task: Task, code: str) -> dict[str, Any]:
    """`judge`; a task that cannot be judged is a row like the others."""
    try:
        return judge(verifier, task, code)
    except Exception as error:  # noqa: BLE001 - one task's failure is a result, and the others are still to come
        return {"status": "INFRA", "reason": f"{type(error).__name__}: {str(error)[:300]}", "problem": "", "cases": []}


def table(rows: Sequence[dict[str, Any]], size: str, machine: Machine) -> Table:
    """By family: what passed, the largest inputs, the slowest verdict, and memory beyond what the plan needs."""
    mine = [row for row in rows if row["size"] == size]
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in mine:
        families[row["family"]].append(row)
    body = [line(family, some) for family, some in sorted(families.items())] + [line("**all**", mine)]
    passed = [row for row in mine if row["status"] == "PASSED"]
    refused = [f"{row['task']}: {row['status']} {row['reason']}" for row in mine if row["status"] != "PASSED"]
    slow = [f"{row['task']} {row['seconds']:.1f} s" for row in passed if row["seconds"] > MOST_SECONDS]
    untimed = [f"{row['task']}: {row['problem']}" for row in passed if row["problem"]]
    total = len(operators()) if size == "full" else sum(1 for _ in tasks(size))
    notes = [
        *([f"{len(mine)} of {total} tasks: what the time was enough for"] if len(mine) < total else []),
        f"Beyond {MOST_SECONDS:g} s: {', '.join(slow) or 'none'}",
        *([f"Not passed: {'; '.join(refused)}"] if refused else []),
        *([f"Not timed: {'; '.join(untimed)}"] if untimed else []),
    ]
    columns = ["family", "tasks", "passed", "largest inputs, GiB", "cases above 1 GiB", "median s", "slowest s", "of",
               "while running, beyond buffers and guard zones, MiB", "at most on the device, GiB"]  # fmt: skip
    return Table(f"full-size-{size}", columns, body, f"python benchmarks/full_size.py --size {size}", notes, machine)


def line(name: str, rows: Sequence[dict[str, Any]]) -> list[str | int | float | None]:
    """One row of the table."""
    passed = [row for row in rows if row["status"] == "PASSED"]
    cases = [case for row in passed for case in row["cases"]]
    slowest = max(passed, key=lambda row: row["seconds"], default=None)
    beyond = [case["bytes_while_running"] - case["buffer_bytes"] - case["guard_bytes"] for case in cases]
    most = [case["bytes_at_most"] for case in cases] + [row["timing"].get("bytes_at_most", 0) for row in passed]
    return [
        name, len(rows), len(passed), max((row["input_bytes"] for row in passed), default=0) / 2**30,
        sum(case["buffer_bytes"] > LARGE for case in cases),
        sorted(row["seconds"] for row in passed)[len(passed) // 2] if passed else None,
        slowest["seconds"] if slowest else None, slowest["task"] if slowest else None,
        max(beyond, default=0) / 2**20, max(most, default=0) / 2**30,
    ]  # fmt: skip


def read(rows: Path) -> list[dict[str, Any]]:
    """What was judged so far."""
    return [json.loads(text) for text in rows.read_text().splitlines()] if rows.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "large"), default="full")
    parser.add_argument("--share", default="0/1", help="every n-th task, from the k-th: k/n")
    parser.add_argument("--only", default="", help="tasks whose id contains one of these, by commas")
    parser.add_argument("--seconds", type=float, default=500.0, help="begin no task after so long")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--table", action="store_true", help="only put what there is into tables")
    chosen = parser.parse_args()
    whole = True
    if not chosen.table:
        k, n = map(int, chosen.share.split("/"))
        whole = run(chosen.size, (k, n), [part for part in chosen.only.split(",") if part], chosen.seconds, chosen.rows)
    rows = read(chosen.rows)
    for size in sorted({row["size"] for row in rows}):
        save(table(rows, size, this_machine()))
    if not rows:
        sys.exit("nothing was judged")
    sys.exit(0 if whole else TO_BE_CONTINUED)


if __name__ == "__main__":
    main()
