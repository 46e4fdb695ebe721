"""A candidate's cases on a bench with a GPU, as its parent sees them: which jobs they become and what is said of each.

The worker replays on the CPU plans that launch nothing. Such a plan never goes together with others and is decoration
(it is right without its launches), so these two rules are lifted here; everything else is as it is.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tritonrl_core.bench import case_groups as together
from tritonrl_core.bench.early import Early
from tritonrl_core.bench.gpu_program import GpuProgram
from tritonrl_core.bench.plan.schema import AtenCall, Buffer, LaunchPlan, TensorRef
from tritonrl_core.bench.prepare import Ready, Recorded, Stop
from tritonrl_core.bench.record.ahead import Habit
from tritonrl_core.bench.replay.baselines import Baselines
from tritonrl_core.bench.replay.job import read
from tritonrl_core.bench.replay.pool import ReplayPool
from tritonrl_core.types import BenchSpec, Candidate, CaseRequest, CaseResult, InputCase, Stage, Status, Task

SOURCE = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return x * 2.0
def get_inputs():
    return [torch.randn(4, 8)]
def get_init_inputs():
    return []
"""
TASK = Task("t", 1, SOURCE)
SPEC = BenchSpec("cuda", "sm_90", 2, (0,), None, 60.0, "layout_only", "ieee", {})
FIVE = CaseRequest(count=5, values=True)
X = TensorRef(0, (4, 8), (8, 1), 0, "float32")
OUT = TensorRef(1, (4, 8), (8, 1), 0, "float32")
RIGHT = (
    AtenCall("aten.copy_.default", (OUT, X), {}, (OUT,)),
    AtenCall("aten.mul_.Tensor", (OUT, 2.0), {}, (OUT,)),
)
CLAMPED = (*RIGHT, AtenCall("aten.clamp_max_.default", (OUT, 20.0), {}, (OUT,)))


def plan(steps: Sequence[AtenCall], strides: tuple[int, ...] = (8, 1)) -> LaunchPlan:
    buffers = (Buffer(128, "input", index=0), Buffer(128, "alloc"))
    x = replace(X, stride=strides)
    steps = [replace(step, args=tuple(x if arg == X else arg for arg in step.args)) for step in steps]
    return LaunchPlan("sm_90", "3.7.1", (), buffers, (x,), {}, (), tuple(steps), (OUT,))


def cases(task: Task, request: CaseRequest) -> list[InputCase]:
    """Two signatures; only the second case has values beyond 10."""
    kinds = ["normal", "large", "normal", "normal", "normal"] if request.values else ["normal"] * 5
    lies = ["contiguous", "contiguous", "transposed", "contiguous", "transposed"]
    made = [InputCase(f"case {n}", n, {}, None, kinds[n], lies[n]) for n in range(5)]
    return made[: max(1, request.count)]


class Prepared:
    """Gives the plan of the case's signature."""

    def __init__(self, steps: Sequence[AtenCall], refused: str = "") -> None:
        self.steps, self.refused = steps, refused

    def record(self, task: Task, candidate: Candidate, case: InputCase, ahead: Sequence[InputCase] = ()):
        if case.layout == self.refused:
            return Stop(Status.UNSUPPORTED, Stage.RECORD, "not this layout", "none")
        return Recorded(plan(self.steps, (1, 4) if case.layout == "transposed" else (8, 1)), "none", 0.0)

    def build(self, recorded: Recorded):
        return Ready(recorded.plan, (), recorded.sandbox)


@pytest.fixture(scope="module")
def pool() -> Iterator[ReplayPool]:
    made = ReplayPool([0], workers=1, device="cpu")
    yield made
    made.close()


@pytest.fixture
def jobs(pool, monkeypatch):
    """How many cases each job had that a worker was asked for."""
    counts, run = [], pool.run

    def counted(job: bytes, *rest: object, **more: object):
        counts.append(len(read(job).cases))
        return run(job, *rest, **more)

    monkeypatch.setattr(pool, "run", counted)
    monkeypatch.setattr(together, "fits", lambda plan: True)
    monkeypatch.setattr(GpuProgram, "_decoration", lambda *asked: False)
    return counts


@pytest.fixture
def program(pool):
    early, chances = Early(0), together.Chances()

    def made(steps: Sequence[AtenCall] = RIGHT, refused: str = "") -> GpuProgram:
        return GpuProgram(TASK, Candidate.from_code(""), SPEC, Prepared(steps, refused), pool, cases, Baselines(None),
                          pytest.fail, Habit(cases), early, chances)  # fmt: skip

    yield made
    early.close()


def run_all(program: GpuProgram, request: CaseRequest = FIVE) -> list[CaseResult]:
    return [program.run(case) for case in program.cases(request)]


def told(result: CaseResult) -> tuple[object, ...]:
    """What is said of a case, but for times and for what else was on the device."""
    facts = {name: value for name, value in result.facts.items()
             if name not in ("prepare_seconds", "stage_seconds", "right_without_launches")}  # fmt: skip
    return result.case, result.status, result.error, result.worst, result.reason, facts


def test_five_cases_take_two_jobs_and_say_what_five_do(program, jobs, monkeypatch):
    # Ready are those of a signature that was asked for: the second job takes all but the two of the other signature.
    both = run_all(program())
    assert jobs == [1, 2, 2]
    assert [result.seconds > 0 for result in both] == [True, True, True, False, False]
    assert "worker" in both[1].facts["stage_seconds"]
    monkeypatch.setattr(together, "fits", lambda plan: False)
    alone = run_all(program())
    assert jobs[3:] == [1] * 5
    assert {result.status for result in both} == {Status.PASSED}
    assert [told(result) for result in both] == [told(result) for result in alone]


def test_one_case_is_one_job(program, jobs):
    run_all(program(), CaseRequest())
    assert jobs == [1]


def test_what_is_wrong_on_a_later_case_is_told_as_by_itself_and_nothing_goes_together_after_it(program, jobs):
    results = run_all(program(CLAMPED))
    assert [result.status for result in results] == [Status.PASSED, Status.WRONG, *[Status.PASSED] * 3]
    assert results[1].worst is not None
    assert jobs == [1, 2, 1, 1, 1, 1]


def test_after_two_such_candidates_the_next_of_the_task_is_not_tried(program, jobs):
    for _ in range(3):
        jobs.clear()
        run_all(program(CLAMPED))
    assert jobs == [1] * 5


def test_a_signature_that_is_refused_stops_nothing_else(program, jobs):
    statuses = [result.status for result in run_all(program(refused="transposed"))]
    assert statuses == [Status.PASSED, Status.PASSED, Status.UNSUPPORTED, Status.PASSED, Status.UNSUPPORTED]
    assert jobs == [1, 2]


def test_a_worker_that_is_lost_with_several_cases_costs_nobody_a_verdict(program, jobs, pool, monkeypatch):
    counted = pool.run

    def killed(job: bytes, *rest: object, **more: object):
        if len(read(job).cases) > 1:
            os.kill(pool._all[0].worker()._process.pid, signal.SIGKILL)
        return counted(job, *rest, **more)

    monkeypatch.setattr(pool, "run", killed)
    assert {result.status for result in run_all(program())} == {Status.PASSED}


def test_another_criterion_takes_a_job_for_each_case(program, jobs):
    made = program()
    assert {made.run(case, "kernelbench").status for case in made.cases(FIVE)} == {Status.PASSED}
    assert jobs == [1] * 5
