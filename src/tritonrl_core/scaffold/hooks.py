"""What a new plugin starts with for each hook: options, a method that does something small and right, and a test of it.

Text that becomes code in somebody else's package; nothing here runs. `$Class` and `$package` are filled in by
`scaffold.package`. Each method is meant to be replaced, and keeps its hook's contract until it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Starter:
    """The parts of one hook. Imports are (module, name) pairs; `fields` are lines of the class `Options`."""

    method: str
    test: str
    imports: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    says: tuple[tuple[str, str, str], ...] = ()
    """The options for the README: name, default, meaning."""
    state: str = ""
    """A line of `__init__`."""
    above: str = ""
    """What stands above the class."""
    test_imports: tuple[tuple[str, str], ...] = ()


TESTING = "tritonrl_core.testing"
TYPES = "tritonrl_core.types"

STARTERS: Mapping[str, Starter] = {
    "generate_tasks": Starter(
        types=("Task",),
        imports=(("collections.abc", "Iterable"),),
        fields=("count: int = 4",),
        says=(("count", "4", "tasks in each split"),),
        above='''REFERENCE = """
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
''',
        method='''    @hookimpl
    def generate_tasks(self, split: str, seed: int) -> Iterable[Task]:
        """`count` scaled additions. The splits differ in their scale: nothing is tested that was trained on."""
        scale = 3 if split == "train" else 5
        for number in range(self.options.count):
            n = 256 * (number + 1)
            yield Task(
                id=f"$name/{split}/axpy_{n}",
                level=1,
                source=REFERENCE.format(n=n, scale=scale),
                prompt=f"Compute {scale} * x + y for vectors of N values.",
                vary={"N": (n - 16, n + 1)},
            )
''',
        test='''def test_the_splits_have_no_task_in_common() -> None:
    plugin = $Class($Class.Options(count=2))
    train, held_out = (list(plugin.generate_tasks(split, seed=0)) for split in ("train", "held_out"))
    assert len(train) == len(held_out) == 2
    assert not {task.source for task in train} & {task.source for task in held_out}
''',
    ),
    "sample_level": Starter(
        types=("LevelStats",),
        imports=(("collections.abc", "Mapping"), ("random", "Random")),
        fields=("level_2_from_step: int = 100",),
        says=(("level_2_from_step", "100", "training step from which every second task is of level 2"),),
        method='''    @hookimpl
    def sample_level(self, stats: Mapping[int, LevelStats], step: int, rng: Random) -> int | None:
        """Level 1 first, then both alike. Draws from `rng` only, so that every rank draws the same."""
        if not {1, 2} <= set(stats):
            return None  # the next plugin, or the preset's fixed mix, answers
        return 1 if step < self.options.level_2_from_step else rng.choice([1, 2])
''',
        test='''def test_level_one_comes_first() -> None:
    plugin = $Class($Class.Options(level_2_from_step=10))
    both = {1: LevelStats(1), 2: LevelStats(2)}
    assert {plugin.sample_level(both, 9, Random(seed)) for seed in range(20)} == {1}
    assert {plugin.sample_level(both, 10, Random(seed)) for seed in range(20)} == {1, 2}


def test_it_declines_where_there_is_nothing_to_choose() -> None:
    assert $Class().sample_level({1: LevelStats(1)}, 0, Random(0)) is None
''',
        test_imports=((TYPES, "LevelStats"), ("random", "Random")),
    ),
    "sample_task": Starter(
        types=("Task",),
        imports=(("collections.abc", "Sequence"), ("random", "Random")),
        fields=("short_first_until_step: int = 100",),
        says=(("short_first_until_step", "100", "training step until which the shorter of two tasks is taken"),),
        method='''    @hookimpl
    def sample_task(self, tasks: Sequence[Task], step: int, rng: Random) -> Task | None:
        """The shorter of two references at first. Draws from `rng` only, so that every rank draws the same."""
        if step >= self.options.short_first_until_step:
            return None  # the next plugin, or turn by turn, answers
        return min(tasks[0], rng.choice(tasks), key=lambda task: len(task.source))
''',
        test='''def test_short_tasks_come_first_and_then_all_in_turn() -> None:
    plugin = $Class($Class.Options(short_first_until_step=10))
    tasks = [Task("long", 1, "x" * 99), Task("short", 1, "x")]
    assert "short" in {plugin.sample_task(tasks, 9, Random(seed)).id for seed in range(20)}
    assert plugin.sample_task(tasks, 10, Random(0)) is None
''',
        test_imports=((TYPES, "Task"), ("random", "Random")),
    ),
    "pre_filter": Starter(
        types=("Candidate", "Objection", "Program", "Stage", "Status", "Task"),
        fields=("most_lines: int = 2000",),
        says=(("most_lines", "2000", "lines of code above which a candidate is rejected"),),
        method='''    @hookimpl
    def pre_filter(self, task: Task, candidate: Candidate, program: Program) -> Objection | None:
        """Object to very long code. None lets the candidate pass this filter; the first objection counts."""
        lines = candidate.code.count("\\n")
        if lines <= self.options.most_lines:
            return None
        reason = f"{lines} lines of code; $name allows {self.options.most_lines}"
        return Objection(Status.REJECTED, Stage.AST, reason)
''',
        test='''def test_long_code_is_rejected_with_a_reason() -> None:
    candidate = sample_candidate()
    lines = candidate.code.count("\\n")
    for most, passes in ((lines, True), (lines - 1, False)):
        plugin = $Class($Class.Options(most_lines=most))
        objection = plugin.pre_filter(sample_task(), candidate, FakeProgram())
        assert (objection is None) is passes
        assert passes or f"{lines} lines" in objection.reason
''',
        test_imports=((TESTING, "FakeProgram"), (TESTING, "sample_candidate"), (TESTING, "sample_task")),
    ),
    "sandbox_exec": Starter(
        types=("SandboxJob", "SandboxResult"),
        imports=(("collections", "Counter"),),
        state="self.jobs: Counter[str] = Counter()",
        method='''    @hookimpl
    def sandbox_exec(self, job: SandboxJob) -> SandboxResult | None:
        """Count jobs by profile and decline, so that the next plugin or the base runs them.

        To run them yourself: fork a child that confines itself before it calls `job.entry()`, keep `job.limits`, and
        return exactly one `SandboxResult`, whatever the child does.
        """
        self.jobs[job.profile] += 1
        return None
''',
        test='''def test_jobs_are_counted_and_left_to_the_next_one() -> None:
    plugin = $Class()
    job = SandboxJob(entry=lambda: b"done", limits=Limits(wall_s=5.0), profile="record")
    assert plugin.sandbox_exec(job) is None
    assert plugin.jobs["record"] == 1
''',
        test_imports=((TYPES, "Limits"), (TYPES, "SandboxJob")),
    ),
    "check_correctness": Starter(
        types=("CaseRequest", "Program", "Status", "Task", "Verdict", "verdict_from_cases"),
        fields=("cases: int = 2",),
        says=(("cases", "2", "input cases that a candidate must pass"),),
        method='''    @hookimpl
    def check_correctness(self, task: Task, program: Program) -> Verdict | None:
        """Run the cases in their order; the first that does not pass decides."""
        cases = program.cases(CaseRequest(count=self.options.cases))
        results = []
        for case in cases:
            results.append(program.run(case))
            if results[-1].status is not Status.PASSED:
                break
        return verdict_from_cases(results, total=len(cases))
''',
        test='''def test_every_case_must_pass_and_the_first_failure_stops() -> None:
    plugin = $Class($Class.Options(cases=3))
    right, wrong = FakeProgram(), FakeProgram.ending(Status.WRONG, "off by one")
    verdict = plugin.check_correctness(sample_task(), right)
    assert (verdict.status, verdict.cases_passed, len(right.ran)) == (Status.PASSED, 3, 3)
    verdict = plugin.check_correctness(sample_task(), wrong)
    assert (verdict.status, len(wrong.ran)) == (Status.WRONG, 1)
    assert "off by one" in verdict.reason
''',
        test_imports=((TESTING, "FakeProgram"), (TESTING, "sample_task"), (TYPES, "Status")),
    ),
    "measure_speed": Starter(
        types=("Program", "Task", "Timing", "TimingProtocol"),
        fields=("warmup: int = 5", "trials: int = 20"),
        says=(("warmup", "5", "runs before the clock counts"), ("trials", "20", "runs that count")),
        method='''    @hookimpl
    def measure_speed(self, task: Task, program: Program) -> Timing | None:
        """The mean of synchronised runs of candidate and baseline; on a CPU the bench answers with an estimate."""
        own = self.options
        return program.time(TimingProtocol(method="simple", warmup=own.warmup, trials=own.trials))
''',
        test='''def test_the_clock_is_asked_as_the_options_say() -> None:
    plugin = $Class($Class.Options(trials=7))
    program = FakeProgram(timing=sample_timing(2.0))
    assert plugin.measure_speed(sample_task(), program).speedup == 2.0
    assert program.protocols[0].trials == 7
''',
        test_imports=((TESTING, "FakeProgram"), (TESTING, "sample_task"), (TESTING, "sample_timing")),
    ),
    "observe_group": Starter(
        types=("Score",),
        imports=(("collections.abc", "Sequence"), ("collections", "Counter")),
        state="self.seen: Counter[str] = Counter()",
        method='''    @hookimpl
    def observe_group(self, scores: Sequence[Score], step: int) -> None:
        """Count completions by status. Called once a group, in the same order on every rank."""
        self.seen.update(score.verdict.status.value for score in scores)

    def state_dict(self) -> dict[str, Any]:
        """Saved with each checkpoint: plain data that JSON can hold."""
        return {"seen": dict(self.seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = Counter(state["seen"])
''',
        test='''def test_what_was_seen_survives_a_checkpoint() -> None:
    plugin, again = $Class(), $Class()
    plugin.observe_group([sample_score(), sample_score(Status.WRONG)], step=0)
    again.load_state_dict(plugin.state_dict())
    assert again.seen == {"PASSED": 1, "WRONG": 1}
''',
        test_imports=((TESTING, "sample_score"), (TYPES, "Status")),
    ),
    "assign_credit": Starter(
        types=("Credit", "Score"),
        imports=(("collections.abc", "Sequence"), ("statistics", "mean")),
        method='''    @hookimpl
    def assign_credit(self, scores: Sequence[Score]) -> Sequence[Credit] | None:
        """One reward for plan and code alike: how far above the group's mean. Faults of ours count nothing."""
        rewards = [score.reward.correctness for score in scores]
        known = [reward for reward in rewards if reward is not None]
        middle = mean(known) if known else 0.0
        return [Credit(plan=own, code=own) for own in (0.0 if r is None else r - middle for r in rewards)]
''',
        test='''def test_right_completions_are_favoured_and_the_group_sums_to_nothing() -> None:
    right, wrong = $Class().assign_credit([sample_score(), sample_score(Status.WRONG)])
    assert (right.code, wrong.code) == (0.5, -0.5)


def test_a_fault_of_ours_is_neither_rewarded_nor_punished() -> None:
    _, infra = $Class().assign_credit([sample_score(), sample_score(Status.INFRA)])
    assert (infra.plan, infra.code) == (0.0, 0.0)
''',
        test_imports=((TESTING, "sample_score"), (TYPES, "Status")),
    ),
    "collect_metrics": Starter(
        imports=(("collections.abc", "Mapping"),),
        method='''    @hookimpl
    def collect_metrics(self, step: int) -> Mapping[str, float] | None:
        """Figures to log at this step; the plugin's name is put before theirs."""
        return {"last_step": float(step)}
''',
        test='''def test_it_gives_figures() -> None:
    assert $Class().collect_metrics(step=3) == {"last_step": 3.0}
''',
    ),
    "open_bench": Starter(
        types=("Bench", "BenchSpec"),
        method='''    @hookimpl
    def open_bench(self, spec: BenchSpec) -> Bench | None:
        """Decline, so that the next plugin or the local bench answers.

        To bring your own, return an object with `program`, `describe` and `close` (see `tritonrl_core.types.Bench`).
        """
        return None
''',
        test='''def test_the_local_bench_answers() -> None:
    spec = hook_arguments("open_bench")["spec"]
    assert $Class().open_bench(spec) is None
''',
        test_imports=((TESTING, "hook_arguments"),),
    ),
}
