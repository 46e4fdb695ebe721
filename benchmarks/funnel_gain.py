"""What the funnel gains on a batch in which most candidates fail, and costs on one in which none does.

    python benchmarks/funnel_gain.py [--tasks 16] [--group 10] [--rounds 3] [--device auto]

The batch: groups of candidates of one task each, as training gives them; three of ten are right, seven fail, in the
kinds of `FAULTS`. Each round judges it with the funnel off and on, in turn, in new verifiers; ratios within a round are
what counts, because the machine may be shared. Every status is compared: nothing may move between PASSED and not.
"""

from __future__ import annotations

import argparse
import ast
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mutation_operators import mutants

from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, Score, Status, Task
from tritonrl_core.verifier import Verifier

Fault = Callable[[str, random.Random], str]


def no_python(code: str, rng: random.Random) -> str:
    return code.replace("):", ") -> :", 1)


def no_kernel(code: str, rng: random.Random) -> str:
    return code.replace("@triton.jit\n", "")


def missing_import(code: str, rng: random.Random) -> str:
    return code.replace("import triton.language as tl\n", "")


def invented_function(code: str, rng: random.Random) -> str:
    return code.replace("tl.program_id(0)", "tl.get_program_id(0)", 1)


def launch_argument_lacking(code: str, rng: random.Random) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript) and node.args:
            del node.args[-1]
    return ast.unparse(tree)


def wrong_arguments(code: str, rng: random.Random) -> str:
    return code.replace("def forward(self, ", "def forward(self, scale, ")


def unknown_method(code: str, rng: random.Random) -> str:
    return code.replace("return out", "return out.as_contiguous_tensor()")


def wrong_unpacking(code: str, rng: random.Random) -> str:
    return code.replace("return out", "extra, *_ = out.shape[99]\n        return out")


def odd_block(code: str, rng: random.Random) -> str:
    return code.replace("tl.arange(0, ", "tl.arange(1, ", 1)


def shapes_that_do_not_meet(code: str, rng: random.Random) -> str:
    return code.replace("tl.program_id(0)", "(tl.program_id(0) + tl.arange(0, 2) + tl.arange(0, 4))", 1)


WRONG = ("term_dropped", "sign_flipped", "mask_off_by_one", "stride_wrong", "block_not_covering", "count_wrong")


def wrong_result(code: str, rng: random.Random) -> str:
    faulty = [mutant.code for mutant in mutants("batch", code, {}) if mutant.operator in WRONG]
    return rng.choice(faulty) if faulty else code.replace("tl.store(", "tl.store(1 + ", 1)


FAULTS: Mapping[str, tuple[int, tuple[Fault, ...]]] = {
    "no Python, no kernel": (8, (no_python, no_kernel)),
    "certain mistake in the source": (
        22, (missing_import, invented_function, launch_argument_lacking, wrong_arguments),
    ),
    "fails when it runs": (12, (unknown_method, wrong_unpacking)),
    "does not compile": (12, (odd_block, shapes_that_do_not_meet)),
    "wrong result": (16, (wrong_result,)),
}
"""Kind of failure → percent of the batch and how to make one from a right kernel. 70 in all, spread over the stages;
models differ, so the table gives each kind's own cost off and on."""

RIGHT = "right"


@dataclass(frozen=True)
class Job:
    kind: str
    task: Task
    candidate: Candidate


def make_batch(tasks: int, group: int, seed: int, *, all_right: bool = False) -> list[Job]:
    """`tasks` groups of `group` candidates; each candidate's text differs from all others."""
    rng = random.Random(seed)
    known = {task.id: task for split in ("train", "held_out") for task in builtin_tasks(split)}
    golden = rng.sample(golden_solutions(), tasks)
    kinds = [name for name, (percent, _) in FAULTS.items() for _ in range(percent)]
    kinds += [RIGHT] * (100 - len(kinds))
    if all_right:
        kinds = [RIGHT]
    stream = [kinds[index % len(kinds)] for index in rng.sample(range(100 * tasks * group), tasks * group)]
    jobs = []
    for number, kind in enumerate(stream):
        solution = golden[number // group]
        code = solution.code if kind == RIGHT else rng.choice(FAULTS[kind][1])(solution.code, rng)
        jobs.append(Job(kind, known[solution.task_id], Candidate.from_code(f"{code}\n# {number}\n")))
    return jobs


def judged(preset: Preset, jobs: Sequence[Job]) -> tuple[float, list[Score]]:
    """Seconds for the batch, without the start of the workers, and the scores."""
    with Verifier(preset) as verifier:
        verifier.verify_batch([(jobs[0].task, Candidate.from_code(f"x = {n}")) for n in range(2)])
        verifier.bench.describe()
        began = time.perf_counter()
        scores = verifier.verify_batch([(job.task, job.candidate) for job in jobs])
        return time.perf_counter() - began, scores


@dataclass
class Comparison:
    """Rates with the funnel off and on, over the rounds, and what it changed."""

    off: list[float]
    on: list[float]
    moved: list[str]
    seconds: dict[str, tuple[list[float], list[float]]]
    statuses: dict[str, Counter[str]]

    @property
    def gain(self) -> float:
        return statistics.median(on / off for off, on in zip(self.off, self.on, strict=True))


def compare(preset: Preset, jobs: Sequence[Job], rounds: int) -> Comparison:
    """The same batch with the funnel off and on, in turn."""
    found = Comparison([], [], [], defaultdict(lambda: ([], [])), defaultdict(Counter))
    for _ in range(rounds):
        off_s, off = judged(preset, jobs)
        on_s, on = judged(preset.with_plugins("funnel"), jobs)
        found.off.append(len(jobs) / off_s)
        found.on.append(len(jobs) / on_s)
        for job, before, after in zip(jobs, off, on, strict=True):
            found.seconds[job.kind][0].append(before.seconds)
            found.seconds[job.kind][1].append(after.seconds)
            found.statuses[job.kind][f"{before.verdict.status} → {after.verdict.status} ({after.verdict.stage})"] += 1
            if (before.verdict.status is Status.PASSED) != (after.verdict.status is Status.PASSED):
                found.moved.append(f"{job.task.id} ({job.kind}): {before.verdict.reason} → {after.verdict.reason}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verdicts per second with the funnel off and on.")
    parser.add_argument("--tasks", type=int, default=16, help="groups in the batch, one task each")
    parser.add_argument("--group", type=int, default=10, help="candidates in a group")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    baseline = load_preset("baseline", [f"verifier.device={options.device}"])
    for name, preset in (("baseline", baseline), ("with multi_input", baseline.with_plugins("multi_input"))):
        mixed = compare(preset, make_batch(options.tasks, options.group, options.seed), options.rounds)
        right = compare(preset, make_batch(options.tasks, options.group, options.seed, all_right=True), options.rounds)
        show(name, mixed, right)
    return 0


def show(name: str, mixed: Comparison, right: Comparison) -> None:
    print(f"\n### {name}\n")
    print("| batch | funnel off | funnel on | ratio | moved between PASSED and not |")
    print("| --- | --- | --- | --- | --- |")
    for batch, found in (("70 % failing", mixed), ("all right", right)):
        off, on = statistics.median(found.off), statistics.median(found.on)
        print(f"| {batch} | {off:.2f}/s | {on:.2f}/s | {found.gain:.2f} | {len(found.moved)} |")
    print("\n| kind | candidates | off, mean ms each | on, mean ms each | statuses |")
    print("| --- | --- | --- | --- | --- |")
    for kind, (before, after) in mixed.seconds.items():
        statuses = ", ".join(f"{count} × {what}" for what, count in mixed.statuses[kind].most_common(4))
        means = f"{1e3 * statistics.mean(before):.0f} | {1e3 * statistics.mean(after):.0f}"
        print(f"| {kind} | {len(before)} | {means} | {statuses} |")
    for line in mixed.moved + right.moved:
        print(f"moved: {line}")


if __name__ == "__main__":
    sys.exit(main())
