"""The plugin's class: its options with their defaults, and its hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from statistics import mean
from typing import Any

from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.types import (
    Bench,
    BenchSpec,
    Candidate,
    CaseRequest,
    Credit,
    LevelStats,
    Objection,
    Program,
    SandboxJob,
    SandboxResult,
    Score,
    Stage,
    Status,
    Task,
    Timing,
    TimingProtocol,
    Verdict,
    verdict_from_cases,
)

REFERENCE = """
import torch
import torch.nn as nn

N = {n}

class Model(nn.Module):
    def forward(self, x, y):
        return {scale} * x + y

def get_inputs():
    return [torch.randn(N), torch.randn(N)]

def get_init_inputs():
    return []
"""


class RecordedPlugin(Plugin):
    """Say in one sentence what it is for."""

    name = "recorded"
    hook_api = ">=1.0,<2"

    class Options(PluginOptions):
        """What the README's table says."""

        count: int = 4
        level_2_from_step: int = 100
        most_lines: int = 2000
        cases: int = 2
        warmup: int = 5
        trials: int = 20

    options: Options

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self.jobs: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    @hookimpl
    def generate_tasks(self, split: str, seed: int) -> Iterable[Task]:
        """`count` scaled additions. The splits differ in their scale: nothing is tested that was trained on."""
        scale = 3 if split == "train" else 5
        for number in range(self.options.count):
            n = 256 * (number + 1)
            yield Task(
                id=f"recorded/{split}/axpy_{n}",
                level=1,
                source=REFERENCE.format(n=n, scale=scale),
                prompt=f"Compute {scale} * x + y for vectors of N values.",
                vary={"N": (n - 16, n + 1)},
            )

    @hookimpl
    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int | None:
        """Level 1 first, then both alike. Draws from `rng` only, so that every rank draws the same."""
        if not {1, 2} <= set(stats):
            return None  # the next plugin, or the preset's fixed mix, answers
        return 1 if step < self.options.level_2_from_step else rng.choice([1, 2])

    @hookimpl
    def pre_filter(self, task: Task, candidate: Candidate, program: Program) -> Objection | None:
        """Object to very long code. None lets the candidate pass this filter; the first objection counts."""
        lines = candidate.code.count("\n")
        if lines <= self.options.most_lines:
            return None
        reason = f"{lines} lines of code; recorded allows {self.options.most_lines}"
        return Objection(Status.REJECTED, Stage.AST, reason)

    @hookimpl
    def sandbox_exec(self, job: SandboxJob) -> SandboxResult | None:
        """Count jobs by profile and decline, so that the next plugin or the base runs them.

        To run them yourself: fork a child that confines itself before it calls `job.entry()`, keep `job.limits`, and
        return exactly one `SandboxResult`, whatever the child does.
        """
        self.jobs[job.profile] += 1
        return None

    @hookimpl
    def check_correctness(self, task: Task, program: Program) -> Verdict | None:
        """Run the cases in their order; the first that does not pass decides."""
        cases = program.cases(CaseRequest(count=self.options.cases))
        results = []
        for case in cases:
            results.append(program.run(case))
            if results[-1].status is not Status.PASSED:
                break
        return verdict_from_cases(results, total=len(cases))

    @hookimpl
    def measure_speed(self, task: Task, program: Program) -> Timing | None:
        """The mean of synchronised runs of candidate and baseline; on a CPU the bench answers with an estimate."""
        own = self.options
        return program.time(TimingProtocol(method="simple", warmup=own.warmup, trials=own.trials))

    @hookimpl
    def observe_group(self, scores: Sequence[Score], step: int) -> None:
        """Count completions by status. Called once a group, in the same order on every rank."""
        self.seen.update(score.verdict.status.value for score in scores)

    def state_dict(self) -> dict[str, Any]:
        """Saved with each checkpoint: plain data that JSON can hold."""
        return {"seen": dict(self.seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = Counter(state["seen"])

    @hookimpl
    def assign_credit(self, scores: Sequence[Score]) -> Sequence[Credit] | None:
        """One reward for plan and code alike: how far above the group's mean. Faults of ours count nothing."""
        rewards = [score.reward.correctness for score in scores]
        known = [reward for reward in rewards if reward is not None]
        middle = mean(known) if known else 0.0
        return [Credit(plan=own, code=own) for own in (0.0 if r is None else r - middle for r in rewards)]

    @hookimpl
    def collect_metrics(self, step: int) -> Mapping[str, float] | None:
        """Figures to log at this step; the plugin's name is put before theirs."""
        return {"last_step": float(step)}

    @hookimpl
    def open_bench(self, spec: BenchSpec) -> Bench | None:
        """Decline, so that the next plugin or the local bench answers.

        To bring your own, return an object with `program`, `describe` and `close` (see `tritonrl_core.types.Bench`).
        """
        return None
