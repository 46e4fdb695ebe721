"""Plugin number zero: the TritonRL baseline. Always enabled and asked last, so every hook has an answer.

One file a hook. It does the least that is honest: one input case, simple timing, a fixed mix of levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from tritonrl_core.base.assign_credit import assign_credit
from tritonrl_core.base.check_correctness import check_correctness
from tritonrl_core.base.generate_tasks import generate_tasks
from tritonrl_core.base.measure_speed import measure_speed
from tritonrl_core.base.open_bench import open_bench
from tritonrl_core.base.pre_filter import ignore_warnings, pre_filter
from tritonrl_core.base.sample_level import sample_level
from tritonrl_core.plugin import Plugin, PluginContext, PluginOptions, hookimpl
from tritonrl_core.preset import Preset
from tritonrl_core.types import (
    Bench,
    BenchSpec,
    Candidate,
    Credit,
    LevelStats,
    Objection,
    Program,
    SandboxJob,
    SandboxResult,
    Score,
    Task,
    Timing,
    Verdict,
)


class BasePlugin(Plugin):
    """The baseline's answers. Takes no options: what it needs stands in the preset itself."""

    name = "base"

    def __init__(self, options: PluginOptions | None = None, context: PluginContext | None = None) -> None:
        super().__init__(options, context)
        self.preset = Preset.from_data(self.context.preset)
        ignore_warnings()

    @hookimpl
    def generate_tasks(self, split: str, seed: int) -> Sequence[Task]:
        return generate_tasks(self.preset.tasks, split, self.preset.train.model)

    def known_solution(self, task: Task) -> Candidate | None:
        # Imported here: judging needs no golden set.
        from tritonrl_core.base.known_solution import known_solution

        return known_solution(task)

    @hookimpl
    def sample_level(self, stats: Mapping[int, LevelStats], rng: Random) -> int:
        return sample_level(self.preset.levels, stats, rng)

    @hookimpl
    def sample_task(self, tasks: Sequence[Task]) -> Task:
        return tasks[0]

    @hookimpl
    def pre_filter(self, task: Task, candidate: Candidate) -> Objection | None:
        return pre_filter(candidate, task)

    @hookimpl
    def sandbox_exec(self, job: SandboxJob) -> SandboxResult:
        # Imported here: only worker processes fork.
        from tritonrl_core.base.sandbox_exec import run_forked

        return run_forked(job)

    @hookimpl
    def check_correctness(self, program: Program) -> Verdict:
        return check_correctness(program)

    @hookimpl
    def measure_speed(self, program: Program) -> Timing:
        return measure_speed(program)

    @hookimpl
    def assign_credit(self, scores: Sequence[Score]) -> Sequence[Credit]:
        return assign_credit(scores, self.preset.reward)

    @hookimpl
    def open_bench(self, spec: BenchSpec) -> Bench:
        return open_bench(spec)
