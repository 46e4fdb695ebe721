"""Kill rates of three correctness checks on faulty kernels made from the golden set, and right kernels refused.

    python benchmarks/mutants.py [--device auto] [--count 560] [--runs 20] [--seconds 240]

Mutants come from `mutation_operators`; those that do not get past Triton's front end (stillborn) and those that compute
the same (equivalent) are taken out before scoring. Each check then judges each mutant: the base (one input),
KernelBench's criterion (`allclose`, five normal inputs as written) and `multi_input` as its preset has it. Then every
right kernel is judged by `multi_input` with fresh inputs, `--runs` times.

What is judged is kept in build/benchmarks as it comes, by the mutant's code and the version of the checks, so the
command may be stopped (or given `--seconds`) and repeated until it is done. Prints Markdown tables of what there is.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from mutation_equivalents import Plans, argument
from mutation_operators import INVISIBLE_TO_INTERPRETER, OPERATORS, PRECISION, Mutant, mutants
from tables import RESULTS, Table, save
from tritonrl_plugin_multi_input import MultiInputPlugin

import tritonrl_core.bench.outputs.allowance as allowance
import tritonrl_core.bench.outputs.tolerance as tolerance
import tritonrl_core.tasks.cases as cases
from tritonrl_core.base.check_correctness import check_correctness as base_check
from tritonrl_core.bench.references.reference import Reference
from tritonrl_core.bench.resolve import resolve_spec
from tritonrl_core.preset import load_preset
from tritonrl_core.session import Session
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import Golden, golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, CaseRequest, Program, Status, Task, Verdict, content_key

Check = Callable[[Task, Program], Verdict]

COLUMNS = ("base", "kernelbench", "multi_input")


def checks(seed: int = 0) -> dict[str, Check]:
    """The three checks, by column. `seed` is that of their inputs."""
    plain = MultiInputPlugin.Options(
        num_tests=5, shapes=False, values=False, layouts=False, criterion="kernelbench", seed=seed
    )
    ours = MultiInputPlugin.Options(seed=seed)
    return {
        "base": lambda task, program: base_check(program),
        "kernelbench": MultiInputPlugin(plain).check_correctness,
        "multi_input": MultiInputPlugin(ours).check_correctness,
    }


@dataclass
class Judged:
    """What became of one mutant. `killed` is by column; empty where it was not scored, and `why` says why not."""

    operator: str
    key: str
    where: str
    """Line, what was done, and the text that stood there."""
    family: str = ""
    why: str = ""
    killed: dict[str, bool] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    reason: str = ""


class Known:
    """Results by content, one JSON line each, kept from one call of the command to the next. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._found: dict[str, Any] = {row["id"]: row for row in map(json.loads, lines)}

    def get(self, identity: str) -> Any:
        """What was kept under this content; None where nothing was."""
        return self._found.get(identity)

    def keep(self, identity: str, **row: Any) -> None:
        """Keep it, and write it down at once."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            self._found[identity] = {"id": identity, **row}
            file.write(json.dumps(self._found[identity]) + "\n")


def version_of_checks() -> str:
    """Changes when what decides changes: what is allowed, the comparison, the cases, and how values are drawn."""
    import tritonrl_core.bench.references.values as values

    return content_key(*[Path(str(module.__file__)).read_text() for module in (allowance, tolerance, cases, values)])


def sample(all_mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """`count` mutants, of every operator as many as there are room and mutants for.

    By hash, so that a kernel that changes changes its own mutants in the sample and few others.
    """
    by_operator: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in sorted(all_mutants, key=lambda m: hashlib.sha256(f"{seed}/{m.key}".encode()).digest()):
        by_operator[mutant.operator].append(mutant)
    chosen: list[Mutant] = []
    while len(chosen) < count and any(by_operator.values()):
        for waiting in by_operator.values():
            if waiting and len(chosen) < count:
                chosen.append(waiting.pop())
    return sorted(chosen, key=lambda mutant: (mutant.task_id, mutant.line, mutant.key))


def make_mutants(tasks: Mapping[str, Task], golden: Iterable[Golden], device: str) -> list[Mutant]:
    """All mutants of the golden kernels that this device can tell from the original."""
    found = []
    for solution in golden:
        task = tasks[solution.task_id]
        found += mutants(solution.task_id, solution.code, forward_shapes(task, solution.code))
    return [m for m in found if device == "cuda" or m.operator not in INVISIBLE_TO_INTERPRETER]


def forward_shapes(task: Task, code: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that `forward` gets in the task as written, by the names that the candidate gives them."""
    inputs = Reference(task).materialise(make_cases(task, CaseRequest())[0]).inputs
    names: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ClassDef) and node.name == "ModelNew":
            forward = next(f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "forward")
            names = [a.arg for a in forward.args.args[1:]]
    return {name: tuple(value.shape) for name, value in zip(names, inputs, strict=False) if hasattr(value, "shape")}


class Judge:
    """Scores mutants and right kernels on an open bench. Close it to end its workers."""

    def __init__(self, session: Session) -> None:
        self.spec = resolve_spec(session.preset)
        self.bench = session.open_bench(self.spec)
        self.plans = Plans(max(1, self.spec.cpu_workers // 2), make_cases)

    def close(self) -> None:
        """Stop the workers."""
        self.plans.close()
        self.bench.close()

    def score(self, task: Task, original: str, mutant: Mutant) -> Judged:
        """Stillborn, equivalent, or killed or not by each check."""
        where = f"line {mutant.line}: {mutant.note}: {mutant.changed[:80]}"
        judged = Judged(mutant.operator, mutant.key, where, task.family)
        same, failure = self.plans.compare(task, original, mutant.code)
        if failure.startswith((Status.BUILD_ERROR, Status.RUNTIME_ERROR)):
            judged.why = "stillborn"
        elif same:
            judged.why = "same TTIR"
        elif argument(mutant, original):
            judged.why = "argued"
        else:
            self._ask(judged, task, mutant.code)
        return judged

    def _ask(self, judged: Judged, task: Task, code: str) -> None:
        program = self.bench.program(task, Candidate.from_code(code))
        for column, check in checks().items():
            verdict = check(task, program)
            judged.statuses[column] = str(verdict.status)
            judged.killed[column] = verdict.status not in (Status.PASSED, Status.UNSUPPORTED, Status.INFRA)
            judged.reason = verdict.reason[:200]

    def refusals(self, task: Task, code: str, seeds: Iterable[int]) -> list[str]:
        """The reasons for which `multi_input` refuses a right kernel, a run for each seed."""
        program = self.bench.program(task, Candidate.from_code(code))
        verdicts = ((seed, checks(seed)["multi_input"](task, program)) for seed in seeds)
        return [f"seed {seed}: {v.status}: {v.reason}" for seed, v in verdicts if v.status is not Status.PASSED]


def tables(results: Sequence[Judged], device: str, command: str) -> Iterator[Table]:
    """Kill rates by operator, and by family of the task."""
    head = ["mutants", "not past the front end", "equivalent (same TTIR + argued)", "scored", *COLUMNS]
    kinds = {name: [r for r in results if r.operator == name] for name in OPERATORS}
    kinds["**precision and constants**"] = [r for r in results if r.operator in PRECISION]
    kinds["**all**"] = list(results)
    families = {name: [r for r in results if r.family == name] for name in sorted({r.family for r in results})}
    families["**all**"] = list(results)
    alive = [f"{r.key} {r.where}" for r in results if r.killed and not r.killed["multi_input"]]
    note = [f"Alive under multi_input: {len(alive)}" + "".join(f"; `{line}`" for line in alive)]
    for name, first, groups in (("kind", "operator", kinds), ("family", "family", families)):
        rows = [[group, *counts(found)] for group, found in groups.items() if found]
        yield Table(f"mutants-{device}-{name}", [first, *head], rows, command, note if name == "kind" else ())


def counts(group: Sequence[Judged]) -> list[str | int]:
    """A row: how many of each, and the killed by each check with their share of the scored."""
    why = Counter(result.why for result in group)
    scored = [result for result in group if not result.why]
    killed = [sum(result.killed[column] for result in scored) for column in COLUMNS]
    rates = [f"{count} ({count / len(scored):.1%})" if scored else "–" for count in killed]
    return [len(group), why["stillborn"], f"{why['same TTIR']} + {why['argued']}", len(scored), *rates]


@dataclass
class Refusals:
    """What became of one right kernel: verdicts asked for, and the reasons of those that refused it."""

    runs: int = 0
    reasons: list[str] = field(default_factory=list)


def refusal_table(found: Mapping[str, Refusals], device: str, command: str, only: str = "") -> Table:
    """Right kernels refused by `multi_input`, and why; `only` is the part of their tasks' names, for some of them."""
    reasons = [f"{task}: {reason}" for task, refused in found.items() for reason in refused.reasons]
    runs = [refused.runs for refused in found.values()] or [0]
    each = str(min(runs)) if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"
    row = [len(found), each, sum(runs), len(reasons)]
    columns = ["right kernels", "runs of five inputs each", "verdicts", "refused"]
    name = "-".join(filter(None, [f"mutants-{device}-refused", only.strip("_")]))
    return Table(name, columns, [row], command, [f"Refused: {'; '.join(reasons) or 'none'}"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Kill rates of correctness checks on faulty kernels.")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--count", type=int, default=560, help="mutants to judge, spread over the operators")
    parser.add_argument("--runs", type=int, default=20, help="runs of each right kernel with fresh inputs")
    parser.add_argument("--seed", type=int, default=0, help="of the sample of mutants")
    parser.add_argument("--only", default="", help="tasks whose id contains this")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds that a kernel may take")
    parser.add_argument("--seconds", type=float, default=1e6, help="end after so long, whatever was reached")
    options = parser.parse_args(arguments)
    settings = [f"verifier.device={options.device}", f"verifier.timeout_s={options.timeout}"]
    session = Session.open(load_preset("baseline", settings))
    tasks = {task.id: task for task in builtin_tasks("all")}
    golden = [solution for solution in golden_solutions() if options.only in solution.task_id]
    until = time.monotonic() + options.seconds
    judge = Judge(session)
    device = judge.spec.device
    known = Known(RESULTS / f"mutants-{device}.jsonl")
    try:
        chosen = sample(make_mutants(tasks, golden, device), options.count, options.seed)
        results = judge_mutants(judge, tasks, golden, chosen, known, until)
        refused = judge_golden(judge, tasks, golden, options.runs, known, until)
    finally:
        judge.close()
    command = f"python benchmarks/mutants.py --device {device} --count {options.count} --runs {options.runs}"
    command += f" --only {options.only}" if options.only else ""
    report(results, len(chosen), refused, device, command, options.only)
    return 0


def judge_mutants(
    judge: Judge, tasks: Mapping[str, Task], golden: Sequence[Golden], chosen: Sequence[Mutant], known: Known,
    until: float,
) -> list[Judged]:  # fmt: skip
    """What became of the mutants, those that were judged before from what was kept."""
    originals, version = {g.task_id: g.code for g in golden}, version_of_checks()

    def one(mutant: Mutant) -> Judged | None:
        task = tasks[mutant.task_id]
        identity = content_key(version, task.key, mutant.code, argument(mutant, originals[task.id]))
        row = known.get(identity)
        if row is None and time.monotonic() < until:
            known.keep(identity, judged=asdict(judge.score(task, originals[task.id], mutant)))
            row = known.get(identity)
        return None if row is None else Judged(**row["judged"])

    return [result for result in _all(judge, one, chosen) if result is not None]


AT_ONCE = 20
"""Runs of a right kernel that are kept together: all kernels have had so many before one has more."""


def judge_golden(
    judge: Judge, tasks: Mapping[str, Task], golden: Sequence[Golden], runs: int, known: Known, until: float
) -> dict[str, Refusals]:
    """For each right kernel that was judged the reasons of its refusals."""
    version = version_of_checks()
    parts = [(solution, first) for first in range(1, runs + 1, AT_ONCE) for solution in golden]

    def one(part: tuple[Golden, int]) -> tuple[str, int, list[str]] | None:
        solution, first = part
        task, seeds = tasks[solution.task_id], range(first, min(first + AT_ONCE, runs + 1))
        identity = content_key(version, task.key, solution.code, first, len(seeds))
        row = known.get(identity)
        if row is None and time.monotonic() < until:
            known.keep(identity, refused=judge.refusals(task, solution.code, seeds))
            row = known.get(identity)
        return None if row is None else (task.id, len(seeds), row["refused"])

    found: dict[str, Refusals] = defaultdict(Refusals)
    for task_id, count, reasons in filter(None, _all(judge, one, parts)):
        found[task_id].runs += count
        found[task_id].reasons += reasons
    return found


def _all(judge: Judge, one: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """In the order of the items; says every now and then how far it is."""
    with ThreadPoolExecutor(2 * judge.spec.cpu_workers) as pool:
        futures: list[Future[Any]] = [pool.submit(one, item) for item in items]
        for number, _ in enumerate(as_completed(futures), 1):
            if number % 100 == 0:
                print(f"{number} of {len(items)}", file=sys.stderr, flush=True)
        return [future.result() for future in futures]


def report(
    results: Sequence[Judged], chosen: int, refused: Mapping[str, Refusals], device: str, command: str, only: str
) -> None:
    """Print the tables, and keep them for the page where nothing is missing; what is missing is said."""
    refusals = refusal_table(refused, device, command, only)
    if refused:
        save(refusals)
    for table in (*tables(results, device, command), refusals):
        if results and not only and len(results) == chosen and table is not refusals:
            save(table)
        print(f"\n### {table.name}\n\n{table.markdown}", flush=True)
    if len(results) < chosen:
        print(f"\n{chosen - len(results)} of {chosen} mutants are still to be judged: run the command again.")


if __name__ == "__main__":
    sys.exit(main())
