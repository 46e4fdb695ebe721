"""Each content is judged once, verdicts outlive the process, and the queue has an end."""

from __future__ import annotations

import pytest

from tritonrl_core.serve.desk import DrainingError, FullError
from tritonrl_core.types import Status


def test_the_same_content_is_judged_once_however_often_it_is_asked(open_desk, judge, jobs) -> None:
    desk = open_desk()
    scores = [future.result() for _ in range(3) for future in desk.submit(jobs("a", "b", "a"))]
    assert judge.judged == {"a": 1, "b": 1}
    assert {score.verdict.status for score in scores} == {Status.PASSED}
    assert desk.counts().known == 7


def test_what_is_in_work_is_joined_and_takes_no_room(open_desk, judge, jobs) -> None:
    desk = open_desk(capacity=1)
    judge.go.clear()
    first, second = desk.submit(jobs("a")), desk.submit(jobs("a"))
    judge.go.set()
    assert first[0].result() == second[0].result()
    assert judge.judged == {"a": 1}


def test_verdicts_outlive_the_desk_and_faults_of_ours_do_not(open_desk, judge, jobs) -> None:
    one = open_desk()
    [future.result() for future in one.submit(jobs("a", "wrong", "fault"))]
    one.close()
    again = open_desk()
    statuses = [future.result().verdict.status for future in again.submit(jobs("a", "wrong", "fault"))]
    assert statuses == [Status.PASSED, Status.WRONG, Status.INFRA]
    assert judge.judged == {"a": 1, "wrong": 1, "fault": 2}


def test_a_full_desk_takes_all_of_a_batch_or_none(open_desk, judge, jobs) -> None:
    desk = open_desk(capacity=3)
    judge.go.clear()
    taken = desk.submit(jobs("a", "b"))
    with pytest.raises(FullError) as full:
        desk.submit(jobs("c", "d"))
    assert full.value.retry_s > 0
    assert desk.counts().refused == 2
    taken += desk.submit(jobs("c", "a"))
    judge.go.set()
    assert len([future.result() for future in taken]) == 4
    assert set(judge.judged) == {"a", "b", "c"}


def test_a_draining_desk_takes_nothing_and_finishes_what_it_has(open_desk, judge, jobs) -> None:
    desk = open_desk()
    judge.go.clear()
    taken = desk.submit(jobs("a"))
    desk.drain()
    with pytest.raises(DrainingError):
        desk.submit(jobs("b"))
    judge.go.set()
    assert taken[0].result().verdict.status is Status.PASSED


def test_a_judge_that_raises_loses_no_room(open_desk, jobs, judge) -> None:
    def broken(task, candidate):
        raise RuntimeError("boom")

    desk = open_desk(capacity=1)
    desk._judge = broken
    for code in ("a", "b"):
        with pytest.raises(RuntimeError, match="boom"):
            desk.submit(jobs(code))[0].result()
    assert desk.counts().waiting == 0
