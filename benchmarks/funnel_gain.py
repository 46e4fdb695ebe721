"""What the funnel gains on a batch in which most candidates fail, and costs on one in which none does.

    python benchmarks/funnel_gain.py [--mix nano] [--rounds 3] [--right-rounds 10] [--device auto] [--copies 1] …
    python benchmarks/funnel_gain.py --with multi_input …
    python benchmarks/funnel_gain.py --mix young [--tasks 10] [--group 10] …
    python benchmarks/funnel_gain.py --against every_input …
    python benchmarks/funnel_gain.py --apart …

The batch `nano` is what tritonrl-nano wrote for its training tasks at temperature 1 (tests/recorded), 30 of 100 right;
the others are groups of candidates of one built-in task each, made faulty in the kinds and shares of `MIXES`. Each
round's kernels have names of their own, so that nothing is compiled that was compiled before. Every status is
compared: nothing may move between PASSED and not. Without other work on the machine the ratio of the times is what
counts; with it, that of the CPU time of all processes. What the funnel costs where all are right is a few percent,
which takes ten rounds (`--right-rounds`) to be told from none: the interval of the median says if they were enough.

`--against every_input` compares with an evaluator that runs all five inputs of a candidate whatever came before, which
published gains refer to, in place of the same preset with the funnel off.

`--apart`: all but the rules on the source happens in a host process of its own, as where there are several GPUs.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mutation_operators import mutants
from tables import ROOT, Table, save
from tritonrl_plugin_multi_input import MultiInputPlugin
from verdict_rates import Job, Rounds, in_turn, tasks_by_id
from verify_throughput import renamed

from tritonrl_core.bench.host_process import HostProcess
from tritonrl_core.plugin import Plugin, hookimpl
from tritonrl_core.preset import Preset, load_preset
from tritonrl_core.session import Session
from tritonrl_core.session.benches import Benches
from tritonrl_core.spans import parse_completion
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.loaders import load_tasks
from tritonrl_core.testing import session_with
from tritonrl_core.types import Bench, BenchSpec, Candidate, Program, Status, Task, Verdict, verdict_from_cases

RECORDED = ROOT / "tests" / "recorded"

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


FAULTS: Mapping[str, tuple[Fault, ...]] = {
    "no Python, no kernel": (no_python, no_kernel),
    "certain mistake in the source": (missing_import, invented_function, launch_argument_lacking, wrong_arguments),
    "fails when it runs": (unknown_method, wrong_unpacking),
    "does not compile": (odd_block, shapes_that_do_not_meet),
    "wrong result": (wrong_result,),
}
"""Kind of failure → ways of making one from a right kernel."""

NANO = "nano"

MIXES: Mapping[str, tuple[int, ...]] = {"young": (2, 12, 4, 16, 36), "even": (8, 22, 12, 12, 16)}
"""Percent of the batch of each kind of `FAULTS`, 70 in all. `young` is near the failures among the first 600 scores of
one run of tritonrl-nano under training (52 % wrong, 24 % not compiling, 23 % seen in the source); `even` is spread over
the stages. The gain depends on the mix, so it is named with every figure."""

RIGHT = "right"


def recorded_batch(copies: int, seed: int, only_right: bool = False) -> list[Job]:
    """`copies` times what nano wrote, each copy with kernels of other names."""
    tasks = {task.id: task for task in load_tasks(RECORDED / "young_tasks.jsonl")}
    lines = (RECORDED / "young_run.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not only_right or row["verdict"]["status"] == "PASSED"]
    return [
        Job(kind_of(row["verdict"]), tasks[row["task"]], Candidate.from_code(renamed(code, 1000 * seed + copy)))
        for copy in range(copies) for row in rows for code in [parse_completion(row["completion"]).code]
    ]  # fmt: skip


def kind_of(verdict: Mapping[str, str]) -> str:
    """What kind of candidate it is, by what the baseline had said of it."""
    if verdict["status"] == "PASSED":
        return RIGHT
    return {"WRONG": "wrong result", "BUILD_ERROR": "does not compile"}.get(verdict["status"], "breaks a rule")


class EveryInput(MultiInputPlugin):
    """An evaluator that does not stop at the first failure: all five inputs run, and then the first failure counts."""

    @hookimpl
    def check_correctness(self, task: Task, program: Program) -> Verdict | None:
        cases = program.cases(self.request())
        results = [program.run(case) for case in cases]
        failed = next((place for place, found in enumerate(results) if found.status is not Status.PASSED), len(cases))
        return verdict_from_cases(results[: failed + 1], total=len(cases))


class Apart(Plugin):
    """A bench in a process of its own, beside the verifier's."""

    name = "apart"

    @hookimpl
    def open_bench(self, spec: BenchSpec) -> Bench | None:
        own = replace(spec, worker_preset={})  # as without plugins: this one is installed nowhere
        return Benches().over(own, [HostProcess(own)], 2 * own.cpu_workers, patience_s=60)


def make_batch(tasks: int, group: int, seed: int, mix: str) -> list[Job]:
    """`tasks` groups of `group` candidates, no two with the same kernels. `mix` is one of `MIXES`, or `right`."""
    rng = random.Random(seed)
    known = tasks_by_id()
    golden = rng.sample(golden_solutions(), tasks)
    failing = zip(FAULTS, MIXES.get(mix, (0,) * len(FAULTS)), strict=True)
    kinds = [name for name, percent in failing for _ in range(percent)]
    kinds += [RIGHT] * (100 - len(kinds))
    stream = (kinds * (1 + tasks * group // 100))[: tasks * group] if tasks * group >= 100 else kinds
    jobs = []
    for number, kind in enumerate(rng.sample(stream, tasks * group)):
        solution = golden[number // group]
        code = solution.code if kind == RIGHT else rng.choice(FAULTS[kind])(solution.code, rng)
        jobs.append(Job(kind, known[solution.task_id], Candidate.from_code(renamed(code, 1000 * seed + number))))
    return jobs


def moved(found: Rounds) -> list[str]:
    """Candidates that the funnel moved between PASSED and not."""
    return [
        f"{job.task.id} ({job.kind}): {off.verdict.status} {off.verdict.reason[:80]} → {on.verdict.status} "
        f"{on.verdict.reason[:80]}"
        for job, off, on in found.pairs()
        if (off.verdict.status is Status.PASSED) != (on.verdict.status is Status.PASSED)
    ]  # fmt: skip


def gain_table(batches: Mapping[str, Rounds], name: str, command: str) -> Table:
    """Rates, CPU time and their ratios, a row a batch."""
    rows = [
        [
            batch, len(found.pairs()), len(found.batches), found.rate(0), found.rate(1), found.ratio(), between(found),
            found.cpu_ms(0), found.cpu_ms(1), found.ratio("cpu_seconds"), between(found, "cpu_seconds"),
            found.cpu_ms(0, "own_seconds"), found.cpu_ms(1, "own_seconds"), len(moved(found)),
        ]
        for batch, found in batches.items()
    ]  # fmt: skip
    columns = [
        "batch", "candidates", "rounds", "verdicts a second, funnel off", "on", "gain", "median with 95 % in",
        "CPU ms a verdict, off", "on", "gain in CPU time", "median with 95 % in",
        "of it the verifier's own process, off", "on", "moved between PASSED and not",
    ]  # fmt: skip
    return Table(name, columns, rows, command, [line for found in batches.values() for line in moved(found)])


def between(found: Rounds, figure: str = "seconds") -> str:
    """The interval of a gain, in words; of fewer than six rounds the least and the largest ratio."""
    words = "{:.3f} to {:.3f}".format(*found.interval(figure))
    return words if len(found.batches) >= 6 else f"rounds: {words}"


def kinds_table(found: Rounds, name: str, command: str) -> Table:
    """Where the gain comes from: each kind's own time with the funnel off and on, and where it ended."""
    times: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    for job, off, on in found.pairs():
        times[job.kind][0].append(off.seconds)
        times[job.kind][1].append(on.seconds)
        ends[job.kind][f"{off.verdict.status} ({off.verdict.stage}) → {on.verdict.status} ({on.verdict.stage})"] += 1
    rows = [
        [
            kind, len(off), f"{1e3 * statistics.mean(off):.0f}", f"{1e3 * statistics.mean(on):.0f}",
            ", ".join(f"{count} × {what}" for what, count in ends[kind].most_common(3)),
        ]
        for kind, (off, on) in sorted(times.items())
    ]  # fmt: skip
    columns = ["kind", "candidates", "mean ms from start to verdict, off", "on", "most frequent ends, off → on"]
    return Table(name, columns, rows, command)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verdicts per second with the funnel off and on.")
    parser.add_argument("--mix", default=NANO, choices=[NANO, *sorted(MIXES)])
    parser.add_argument("--copies", type=int, default=1, help="of the batch `nano` in a round")
    parser.add_argument("--right-copies", type=int, default=0, help="of the right ones; 0: three times as many")
    parser.add_argument("--tasks", type=int, default=10, help="groups in a made batch, one task each")
    parser.add_argument("--group", type=int, default=10, help="candidates in a group")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--right-rounds", type=int, default=0, help="of the batch in which all are right; 0: as many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--with", dest="other", default="", help="another plugin to have on throughout")
    parser.add_argument("--against", default="off", choices=["off", "every_input"], help="what it is compared with")
    parser.add_argument("--apart", action="store_true", help="the bench in a process beside the verifier's")
    options = parser.parse_args(arguments)
    off, on = opened(options)
    name = "-".join(filter(None, ["funnel-gain", options.device, options.mix, options.other]))
    name += "-every-input" if options.against == "every_input" else ""
    name += "-apart" if options.apart else ""
    command = f"python benchmarks/funnel_gain.py --device {options.device} --mix {options.mix}"
    command += f" --rounds {options.rounds}"
    command += f" --right-rounds {options.right_rounds}" if options.right_rounds else ""
    command += f" --copies {options.copies}" if options.mix == NANO else f" --tasks {options.tasks}"
    command += f" --right-copies {options.right_copies}" if options.right_copies else ""
    command += f" --with {options.other}" if options.other else ""
    command += " --against every_input" if options.against == "every_input" else ""
    command += " --apart" if options.apart else ""
    found: dict[str, Rounds] = {}
    for words, right in ((f"70 % failing, {options.mix}", False), ("all right", True)):
        rounds = options.right_rounds or options.rounds if right else options.rounds
        batches = [a_batch(options, options.seed + number, right) for number in range(rounds)]
        found[words] = in_turn(off, on, batches, learns=True)
        mixed = next(iter(found.values()))
        for table in (gain_table(found, name, command), kinds_table(mixed, f"{name}-kinds", command)):
            save(table)
            print(f"\n{table.markdown}", flush=True)
    return 0


def opened(options: argparse.Namespace) -> tuple[Preset | Session, Preset | Session]:
    """The preset without the funnel and the one with it, or sessions of what no preset has."""
    off = load_preset("baseline", [f"verifier.device={options.device}"])
    if options.against == "every_input":
        return session_with(EveryInput, preset=off), off.with_plugins("multi_input", "funnel")
    off = off.with_plugins(options.other) if options.other else off
    return (apart(off), apart(off.with_plugins("funnel"))) if options.apart else (off, off.with_plugins("funnel"))


def apart(preset: Preset) -> Session:
    return Session.open(preset.with_plugins(Apart.name), plugins=(Apart,))


def a_batch(options: argparse.Namespace, seed: int, right: bool) -> list[Job]:
    if options.mix == NANO:
        copies = options.right_copies or 3 * options.copies if right else options.copies
        return recorded_batch(copies, seed + (500 if right else 0), only_right=right)
    return make_batch(options.tasks, options.group, seed, RIGHT if right else options.mix)


if __name__ == "__main__":
    sys.exit(main())
