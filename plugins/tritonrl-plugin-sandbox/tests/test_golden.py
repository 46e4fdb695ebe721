"""The preset `sandbox_only`, end to end: right kernels pass as without it, and a hostile one gets its verdict."""

import pytest
from tritonrl_core.preset import load_preset
from tritonrl_core.tasks.golden import golden_solutions
from tritonrl_core.tasks.suite import builtin_tasks
from tritonrl_core.types import Candidate, Status
from tritonrl_core.verifier import Verifier

HOSTILE = """
import os
os._patched = True
open("/etc/passwd").read()
"""


@pytest.fixture(scope="module")
def verifier():
    with Verifier(load_preset("sandbox_only")) as opened:
        yield opened


def tasks():
    return {task.id: task for split in ("train", "held_out") for task in builtin_tasks(split=split)}


def verdicts(verifier, chosen):
    known = tasks()
    scores = verifier.verify_batch([(known[each.task_id], Candidate.from_code(each.code)) for each in chosen])
    return [(score.task_id, score.verdict) for score in scores]


def test_right_kernels_pass_and_say_where_they_ran(verifier):
    for task, verdict in verdicts(verifier, list(golden_solutions())[:3]):
        assert verdict.status is Status.PASSED, f"{task}: {verdict.reason}"
        assert verdict.sandbox[0] in "ABC"


def test_a_candidate_that_reads_a_file_fails_and_the_next_one_does_not(verifier):
    honest = next(iter(golden_solutions()))
    task = tasks()[honest.task_id]
    bad = verifier.verify(task, Candidate.from_code(HOSTILE + honest.code)).verdict
    assert bad.status not in (Status.PASSED, Status.INFRA)
    assert verifier.verify(task, Candidate.from_code(honest.code)).verdict.status is Status.PASSED


@pytest.mark.slow
def test_every_golden_kernel_is_judged_as_by_the_base(verifier):
    chosen = list(golden_solutions())
    confined = verdicts(verifier, chosen)
    with Verifier(load_preset("baseline")) as plain:
        unconfined = verdicts(plain, chosen)
    expected = [(task, judged.status) for task, judged in unconfined]
    assert [(task, judged.status) for task, judged in confined] == expected
    assert all(verdict.sandbox[0] in "ABC" for _, verdict in confined if verdict.sandbox != "none")
