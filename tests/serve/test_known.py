"""Verdicts in the store, and few of them in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tritonrl_core.errors import UsageError
from tritonrl_core.preset import load_preset
from tritonrl_core.runs import Run
from tritonrl_core.serve.known import Known
from tritonrl_core.testing import sample_score, sample_task
from tritonrl_core.types import Candidate, Score, Status

TASK = sample_task()


def score(code: str, status: Status = Status.PASSED) -> Score:
    return replace(sample_score(status), candidate=Candidate.from_code(code), task_id=TASK.id, task_key=TASK.key)


def key(code: str) -> tuple[str, str]:
    return TASK.key, Candidate.from_code(code).key


@pytest.fixture
def run(tmp_path):
    opened = Run.create(tmp_path / "store", load_preset("baseline").dump(), {}, subfolders=False)
    yield opened
    opened.close()


def test_only_the_last_ones_stay_in_memory_and_all_are_found(run) -> None:
    known = Known(run, kept=3)
    codes = [f"x = '{number}ß'" for number in range(20)]
    for code in codes:
        known.add(score(code))
    assert len(known) == 20
    assert len(known._recent) == 3
    for code in [*codes, *reversed(codes)]:
        assert known.get(key(code)).candidate.code == code
        assert len(known._recent) == 3
    assert known.get(key("another")) is None


def test_another_process_finds_them_and_goes_on(run) -> None:
    first = Known(run)
    for number in range(5):
        first.add(score(f"x = {number}"))
    first.add(score("broken machine", Status.INFRA))
    run.close()
    again = Known(Run.open(run.paths.root), kept=2)
    assert len(again) == 5
    assert not again._recent
    again.add(score("x = 5"))
    assert [again.get(key(f"x = {number}")).candidate.code for number in range(6)] == [f"x = {n}" for n in range(6)]
    assert key("broken machine") not in again


def test_scores_of_another_verification_are_not_known(run) -> None:
    Known(run).add(score("x"))
    run.close()
    other = Run(run.paths.root, "another key")
    assert key("x") not in Known(other)
    other.close()


def test_a_line_that_is_no_score_is_named(run) -> None:
    Known(run).add(score("x"))
    with run.paths.scores.open("a") as file:
        file.write("{}\n[1]\n")
    with pytest.raises(UsageError, match=r"scores\.jsonl:3: not a score"):
        Known(run)
