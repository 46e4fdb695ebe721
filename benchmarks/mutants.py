"""Kill rates of three correctness checks on faulty kernels made from the golden set, and right kernels refused.

    python benchmarks/mutants.py [--count 480] [--runs 20] [--details FILE]

Mutants come from `mutation_operators`; those that do not get past Triton's front end (stillborn) and those that compute
the same (equivalent) are taken out before scoring. Each check then judges each mutant: the base (one input),
KernelBench's criterion (`allclose`, five normal inputs as written) and `multi_input` as its preset has it. Prints
Markdown tables.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import platform
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mutation_equivalents import Plans, argument
from mutation_operators import INVISIBLE_TO_INTERPRETER, OPERATORS, PRECISION, Mutant, mutants
from tritonrl_plugin_multi_input import MultiInputPlugin

from tritonrl_core.base.check_correctness import check_correctness as base_check
from tritonrl_core.bench.reference import Reference
from tritonrl_core.bench.resolve import resolve_spec
from tritonrl_core.preset import load_preset
from tritonrl_core.session import Session
from tritonrl_core.tasks.cases import make_cases
from tritonrl_core.tasks.golden import Golden, golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, CaseRequest, Program, Status, Task, Verdict

Check = Callable[[Task, Program], Verdict]
Say = Callable[[str], None]

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

    mutant: Mutant
    why: str = ""
    argument: str = ""
    killed: dict[str, bool] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    reason: str = ""


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
    """Scores mutants on an open bench."""

    def __init__(self, session: Session, workers: int) -> None:
        self.spec = resolve_spec(session.preset)
        self.bench = session.open_bench(self.spec)
        self.plans = Plans(workers, make_cases)

    def close(self) -> None:
        self.plans.close()
        self.bench.close()

    def score(self, task: Task, original: str, mutant: Mutant) -> Judged:
        """Stillborn, equivalent, or killed or not by each check."""
        same, failure = self.plans.compare(task, original, mutant.code)
        if failure.startswith((Status.BUILD_ERROR, Status.RUNTIME_ERROR)):
            return Judged(mutant, why="stillborn", reason=failure)
        if same:
            return Judged(mutant, why="same TTIR")
        argued = argument(mutant, original)
        if argued:
            return Judged(mutant, why="argued", argument=argued)
        judged = Judged(mutant)
        program = self.bench.program(task, Candidate.from_code(mutant.code))
        for column, check in checks().items():
            verdict = check(task, program)
            judged.statuses[column] = str(verdict.status)
            judged.killed[column] = verdict.status not in (Status.PASSED, Status.UNSUPPORTED, Status.INFRA)
            judged.reason = verdict.reason
        return judged

    def refused(self, task: Task, code: str, seed: int) -> str:
        """The reason for which `multi_input` refuses a right kernel on fresh inputs; "" where it passes."""
        program = self.bench.program(task, Candidate.from_code(code))
        verdict = checks(seed)["multi_input"](task, program)
        return "" if verdict.status is Status.PASSED else f"{verdict.status}: {verdict.reason}"


def table(results: Sequence[Judged]) -> list[str]:
    """Kill rates by operator, of the precision faults, and of all."""
    rows = [f"| operator | mutants | not past the front end | equivalent | scored | {' | '.join(COLUMNS)} |",
            "| --- " * (5 + len(COLUMNS)) + "|"]
    groups = {name: [r for r in results if r.mutant.operator == name] for name in OPERATORS}
    groups["**precision and constants**"] = [r for r in results if r.mutant.operator in PRECISION]
    groups["**all**"] = list(results)
    for name, group in groups.items():
        if group:
            rows.append(f"| {name} | {_counts(group)} |")
    return rows


def _counts(group: Sequence[Judged]) -> str:
    why = Counter(result.why for result in group)
    scored = [result for result in group if not result.why]
    killed = [sum(result.killed[column] for result in scored) for column in COLUMNS]
    rates = [f"{count} ({count / len(scored):.1%})" if scored else "–" for count in killed]
    equivalent = f"{why['same TTIR']} + {why['argued']}"
    return " | ".join([str(len(group)), str(why["stillborn"]), equivalent, str(len(scored)), *rates])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Kill rates of correctness checks on faulty kernels.")
    parser.add_argument("--count", type=int, default=480, help="mutants to judge, spread over the operators")
    parser.add_argument("--runs", type=int, default=20, help="runs of each right kernel with fresh inputs")
    parser.add_argument("--seed", type=int, default=0, help="of the sample of mutants")
    parser.add_argument("--only", default="", help="tasks whose id contains this")
    parser.add_argument("--details", type=Path, help="write every mutant and what became of it, as JSON")
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(line, flush=True)

    preset = load_preset("baseline")
    session = Session.open(preset)
    tasks = {task.id: task for split in ("train", "held_out") for task in builtin_tasks(split)}
    golden = [solution for solution in golden_solutions() if options.only in solution.task_id]
    judge = Judge(session, workers=1)
    try:
        results, refusals = run(judge, tasks, golden, options, say)
    finally:
        judge.close()
    if options.details:
        options.details.write_text(json.dumps([asdict(result) for result in results], indent=1), encoding="utf-8")
    report(results, refusals, len(golden) * options.runs, judge, say)
    return 0


def run(
    judge: Judge, tasks: Mapping[str, Task], golden: Sequence[Golden], options: argparse.Namespace, say: Say
) -> tuple[list[Judged], dict[str, str]]:
    """Judge the sample of mutants and the right kernels. Right kernels that are refused give no mutants."""
    threads = 2 * judge.spec.cpu_workers
    refusals: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        jobs = [(g, seed) for g in golden for seed in range(1, options.runs + 1)]
        reasons = pool.map(lambda job: judge.refused(tasks[job[0].task_id], job[0].code, job[1]), jobs)
        for (solution, seed), reason in zip(jobs, reasons, strict=True):
            if reason:
                refusals[f"{solution.task_id} seed {seed}"] = reason
                say(f"refused: {solution.task_id} seed {seed}: {reason}")
        fit = [g for g in golden if not any(name.startswith(f"{g.task_id} ") for name in refusals)]
        everything = make_mutants(tasks, fit, judge.spec.device)
        chosen = sample(everything, options.count, options.seed)
        say(f"{len(everything)} mutants of {len(fit)} kernels; judging {len(chosen)}")
        originals = {g.task_id: g.code for g in fit}
        began = time.perf_counter()
        results = []
        for result in pool.map(lambda m: judge.score(tasks[m.task_id], originals[m.task_id], m), chosen):
            results.append(result)
            if len(results) % 50 == 0:
                say(f"{len(results)} judged, {time.perf_counter() - began:.0f} s")
        say(f"judged in {time.perf_counter() - began:.0f} s")
    return results, refusals


def report(results: Sequence[Judged], refusals: Mapping[str, str], runs: int, judge: Judge, say: Say) -> None:
    """The tables, and every mutant that the plugin let pass."""
    import torch
    import triton

    say(f"\nDevice {judge.spec.device}, torch {torch.__version__}, triton {triton.__version__}, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}\n")
    for line in table(results):
        say(line)
    say(f"\nRight kernels refused by multi_input: {len(refusals)} of {runs} runs\n")
    for result in results:
        if result.killed and not result.killed["multi_input"]:
            say(f"alive: {result.mutant.key} line {result.mutant.line}: {result.mutant.note}: {result.mutant.changed} "
                f"({result.statuses['multi_input']})")


if __name__ == "__main__":
    sys.exit(main())
