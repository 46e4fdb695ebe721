"""The verifier: order of the stages, one judgement a content, and failures of ours as INFRA."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import ClassVar

import pytest

from tritonrl_core.errors import HookFailure, InfraError, TaskError
from tritonrl_core.plugin import Plugin, hookimpl
from tritonrl_core.preset import load_preset
from tritonrl_core.testing import (
    FakeBench,
    FakeProgram,
    sample_candidate,
    sample_task,
    sample_timing,
    session_with,
)
from tritonrl_core.types import Candidate, Objection, RewardParts, Score, Stage, Status, Task
from tritonrl_core.verifier import Verifier


class Fake(Plugin):
    """Opens a bench whose programs a test scripts, and counts them."""

    name = "fake"
    program: ClassVar[FakeProgram] = FakeProgram()
    made: ClassVar[list[Candidate]] = []
    bench: ClassVar[FakeBench]

    @hookimpl
    def open_bench(self, spec):
        def make(task: Task, candidate: Candidate) -> FakeProgram:
            Fake.made.append(candidate)
            return Fake.program

        Fake.bench = FakeBench(make)
        return Fake.bench


class Raises(Plugin):
    """A plugin that breaks while it verifies."""

    name = "raises"

    @hookimpl
    def check_correctness(self, task, program):
        raise RuntimeError("broken plugin")


@pytest.fixture(autouse=True)
def fresh():
    Fake.program, Fake.made = FakeProgram(timing=sample_timing()), []


def verifier(*plugins: type[Plugin], overrides: tuple[str, ...] = (), known: tuple[Score, ...] = ()) -> Verifier:
    preset = load_preset("baseline", ["verifier.device=cpu", "verifier.cpu_workers=2", *overrides])
    session = session_with(Fake, *plugins, preset=preset)
    return Verifier(session.preset, session, known=known)


def test_a_right_kernel_passes_and_is_timed() -> None:
    with verifier() as judge:
        score = judge.verify(sample_task(), sample_candidate())
    assert (score.verdict.status, score.verdict.correct, score.verdict.source) == (Status.PASSED, True, "base")
    assert score.timing == replace(sample_timing(), source=score.timing.source)
    assert score.reward.correctness == 1.0
    assert {"pre_filter", "check_correctness", "measure_speed"} <= set(score.verdict.stage_seconds)


@pytest.mark.parametrize("status", [Status.WRONG, Status.TIMEOUT, Status.BUILD_ERROR, Status.CHEATED])
def test_what_does_not_pass_earns_nothing_and_is_not_timed(status: Status) -> None:
    Fake.program = FakeProgram.ending(status, "because")
    with verifier() as judge:
        score = judge.verify(sample_task(), sample_candidate())
    assert (score.verdict.status, score.verdict.reason, score.timing) == (status, "because", None)
    assert score.reward == RewardParts(0.0, 0.0)
    assert Fake.program.protocols == []


def test_an_objection_ends_it_before_anything_runs() -> None:
    with verifier() as judge:
        score = judge.verify(sample_task(), "x = 1")
    assert (score.verdict.status, score.verdict.stage, score.verdict.source) == (Status.REJECTED, Stage.AST, "base")
    assert Fake.program.ran == []


def test_an_objection_of_a_filter_that_ran_it_names_the_isolation() -> None:
    class Filter(Plugin):
        name = "filter"

        @hookimpl
        def pre_filter(self):
            return Objection(Status.WRONG, Stage.TINY, "wrong", sandbox="A: layers")

    with verifier(Filter) as judge:
        verdict = judge.verify(sample_task(), sample_candidate()).verdict
    assert (verdict.status, verdict.sandbox, verdict.source) == (Status.WRONG, "A: layers", "filter")


def test_the_same_code_is_judged_once_in_a_batch_and_afterwards() -> None:
    task, candidate = sample_task(), sample_candidate()
    other_words = replace(candidate, text="another plan\n" + candidate.text, plan="another plan")
    told: list[int] = []
    with verifier() as judge:
        scores = judge.verify_batch([(task, candidate), (task, other_words)], lambda index, score: told.append(index))
        again = judge.verify(task, candidate)
    assert len(Fake.made) == 1
    assert [score.cached for score in (*scores, again)] == [False, True, True]
    assert scores[1].candidate.plan == "another plan"
    assert sorted(told) == [0, 1]


def test_another_task_is_another_judgement() -> None:
    task = sample_task()
    with verifier() as judge:
        judge.verify_batch([(task, sample_candidate()), (replace(task, tolerance=0.5), sample_candidate())])
    assert len(Fake.made) == 2


def test_known_scores_are_not_judged_again() -> None:
    task, candidate = sample_task(), sample_candidate()
    with verifier() as judge:
        known = judge.verify(task, candidate)
    Fake.made.clear()
    with verifier(known=(known,)) as judge:
        assert judge.verify(task, candidate).cached
    assert Fake.made == []


def test_a_failing_plugin_is_infra_and_its_score_is_left_out_and_not_remembered() -> None:
    with verifier(Raises) as judge:
        first = judge.verify(sample_task(), sample_candidate())
        judge.verify(sample_task(), sample_candidate())
    assert (first.verdict.status, first.verdict.source) == (Status.INFRA, "raises")
    assert "broken plugin" in first.verdict.reason
    assert first.reward == RewardParts(None, None)
    assert len(Fake.made) == 2


def test_a_failing_plugin_aborts_where_the_preset_says_so() -> None:
    with verifier(Raises, overrides=("on_hook_failure=abort",)) as judge, pytest.raises(HookFailure, match="raises"):
        judge.verify(sample_task(), sample_candidate())


def test_a_fault_of_the_bench_is_infra_and_its_neighbours_are_judged() -> None:
    class Lost(FakeProgram):
        def run(self, case, criterion="default"):
            raise InfraError("a worker was lost")

    task, good = sample_task(), sample_candidate()
    bad = replace(good, code=good.code + "\n# lost\n")
    with verifier() as judge:
        make = Fake.bench.make
        Fake.bench.make = lambda task, candidate: Lost() if "# lost" in candidate.code else make(task, candidate)
        scores = judge.verify_batch([(task, bad), (task, good)])
    assert [score.verdict.status for score in scores] == [Status.INFRA, Status.PASSED]


def test_a_broken_reference_is_the_users_to_mend() -> None:
    class Broken(FakeProgram):
        def run(self, case, criterion="default"):
            raise TaskError("reference.py, line 3: boom", remedy="Correct the reference.")

    Fake.program = Broken()
    with verifier() as judge, pytest.raises(TaskError, match="line 3"):
        judge.verify(sample_task(), sample_candidate())


def test_a_broken_reference_costs_no_other_tasks_candidates() -> None:
    class Broken(FakeProgram):
        def run(self, case, criterion="default"):
            raise TaskError("reference.py, line 3: boom", remedy="Correct the reference.")

    whole, broken = sample_task(id="whole"), replace(sample_task(id="broken"), source="# another")
    with verifier() as judge:
        make = Fake.bench.make
        Fake.bench.make = lambda task, candidate: Broken() if task.id == "broken" else make(task, candidate)
        scores = judge.verify_batch([(broken, sample_candidate()), (whole, sample_candidate())])
        assert judge.broken[broken.key].remedy == "Correct the reference."
        assert whole.key not in judge.broken
    assert [score.verdict.status for score in scores] == [Status.INFRA, Status.PASSED]
    assert scores[0].verdict.reason == "reference.py, line 3: boom"


def test_a_clock_that_fails_costs_only_the_speed() -> None:
    Fake.program = FakeProgram(timing=None)
    with verifier() as judge:
        score = judge.verify(sample_task(), sample_candidate())
    assert (score.verdict.status, score.timing) == (Status.PASSED, None)
    assert score.reward == RewardParts(correctness=1.0, speed=None)


@pytest.mark.parametrize(("status", "valid"), [(Status.WRONG, True), (Status.RUNTIME_ERROR, True),
                                                (Status.CHEATED, False)])  # fmt: skip
def test_a_timed_run_that_goes_wrong_lowers_the_verdict(status: Status, valid: bool) -> None:
    Fake.program = FakeProgram(timing=replace(sample_timing(), status=status, reason="only while it was timed"))
    with verifier() as judge:
        score = judge.verify(sample_task(), sample_candidate())
    assert (score.verdict.status, score.verdict.stage) == (status, Stage.TIMING)
    assert (score.verdict.valid, score.verdict.reason) == (valid, "only while it was timed")
    assert (score.timing, score.reward) == (None, RewardParts(0.0, 0.0))


def test_many_threads_may_ask_at_once() -> None:
    task, candidate = sample_task(), sample_candidate()
    scores: list[Score] = []
    with verifier() as judge:
        threads = [
            threading.Thread(target=lambda n=n: scores.append(judge.verify(task, f"{candidate.code}\n# {n}\n")))
            for n in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [score.verdict.status for score in scores] == [Status.PASSED] * 16


def test_closing_closes_the_bench_and_may_be_done_twice() -> None:
    judge = verifier()
    judge.close()
    judge.close()
    assert Fake.bench.closed
