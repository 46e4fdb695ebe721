"""What five inputs cost beside one, in a batch of right kernels.

    python benchmarks/multi_input_cost.py [--kernels 40] [--rounds 3] [--size small] [--device auto]

The same golden kernels, each with kernels of its own name so that nothing is compiled twice, under `baseline` and under
`baseline` with `multi_input`. Without other work on the machine the ratio of the times is what counts; with it, that of
the CPU time of all processes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tables import Table, save
from verdict_rates import Job, Rounds, in_turn, tasks_by_id
from verify_throughput import renamed

from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.types import Candidate, Status


def batches(kernels: int, rounds: int, size: str) -> list[list[Job]]:
    """The same selection of golden kernels for every round, with other names."""
    tasks, golden = tasks_by_id(size), golden_solutions()
    chosen = golden[:: max(1, len(golden) // kernels)][:kernels]
    return [
        [
            Job("right", tasks[g.task_id], Candidate.from_code(renamed(g.code, 1000 * number + place)))
            for place, g in enumerate(chosen)
        ]
        for number in range(rounds)
    ]


def table(found: Rounds, name: str, command: str) -> Table:
    """Rates, CPU time and their ratios, and the verdicts that were not PASSED."""
    failed = [
        f"{job.task.id}: {score.verdict.status} {score.verdict.reason[:100]}"
        for job, *scores in found.pairs() for score in scores if score.verdict.status is not Status.PASSED
    ]  # fmt: skip
    rows = [
        [words, found.rate(side), found.cpu_ms(side)] for side, words in enumerate(("five inputs", "one input"))
    ]
    rows.append(["ratio", found.ratio(), found.ratio("cpu_seconds")])
    notes = [
        f"{len(found.batches)} rounds of {len(found.batches[0])} right kernels; medians of the ratios within a round",
        f"Not passed: {'; '.join(sorted(set(failed))) or 'none'}",
    ]
    columns = ["", "verdicts a second (ratio: of the times)", "CPU ms a verdict, all processes"]
    return Table(name, columns, rows, command, notes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Cost of five inputs beside one.")
    parser.add_argument("--kernels", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="small", choices=["small", "full"])
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    one = load_preset("baseline", [f"verifier.device={options.device}"])
    found = in_turn(one.with_plugins("multi_input"), one, batches(options.kernels, options.rounds, options.size))
    command = (f"python benchmarks/multi_input_cost.py --kernels {options.kernels} --rounds {options.rounds} "
               f"--size {options.size} --device {options.device}")  # fmt: skip
    made = table(found, f"multi-input-cost-{options.device}", command)
    save(made)
    print(made.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
